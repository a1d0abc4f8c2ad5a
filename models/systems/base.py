"""What every trainable retrieval system is: two towers over the feature maps of one backbone, and its losses.

    images (B, 3, S, S) -> ResNet50-V2 -> Maps -> embed_images -> (B, dim)
    texts                                      -> embed_texts  -> (B, dim)

All systems share the backbone, and most keep it frozen while they train, so that training reads cached maps
(training/feature_cache.py) and a system's own file shows what the paper is about. A system that also scores an
image and a text together is a `FusionSystem`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from rs_text_search_plugin.models.layers.minilm import WordPiece
from rs_text_search_plugin.models.layers.resnet50v2 import ResNet50V2
from torch import Tensor, nn
from torch.nn import functional as fn

INPUT_PX = 192
GRID = 6
"""Cells a side: stage 3's 12 x 12 map averaged two by two, stage 2's 24 x 24 four by four."""
GRID_CELLS = GRID * GRID
TEXTS_PER_BATCH = 256


class Maps(NamedTuple):
    """Feature maps of B images at two depths of a network, averaged over a grid of cells, row by row.

    Of the backbone the grid is GRID x GRID."""

    middle: Tensor
    """(B, cells, 512), stage 2."""
    last: Tensor
    """(B, cells, 1024), stage 3."""


@dataclass(frozen=True)
class Batch:
    """B training images with one text each."""

    maps: Maps
    second_view: Maps | None
    """Another augmentation of the first of these images, for systems with a `second_view`."""
    texts: list[str]
    images: Tensor
    """(B,) number of the image among all training images."""
    sentences: Tensor
    """(B,) number of the text among all distinct training texts."""
    labels: Tensor
    """(B,) number of the scene class."""
    ignore_mask: Tensor
    """(B, B) bool, image by text: pairs off the diagonal that may belong together and are no negatives."""
    hard_negatives: Sequence[str] = ()
    """Each text with one word made wrong, or "" (training/hard_negatives.py); empty unless the recipe asks."""


@dataclass(frozen=True)
class TrainingSetInfo:
    """What a system may want to know about the training set before it starts."""

    image_count: int
    texts: Sequence[str]
    """Every distinct training text, by number."""
    labels: Sequence[str]


class System(nn.Module, ABC):
    """Two towers. Built from a vocabulary and its own settings; `settings` must survive JSON."""

    second_view: float = 0.0
    """Share of a batch that training needs in a second augmentation."""
    frozen: ClassVar[tuple[str, ...]] = ()
    """Parts besides the backbone that training does not change."""
    half_precision_parts: ClassVar[tuple[str, ...]] = ()
    """Parts whose weights are stored in 16 bits instead of 8."""
    dim: int

    def __init__(self, vocabulary: Sequence[str], settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.settings = dict(settings)
        self.tokenizer = WordPiece(vocabulary)
        self.backbone = ResNet50V2()

    @abstractmethod
    def embed_images(self, maps: Maps) -> Tensor:
        """-> (B, dim) unit vectors."""

    @abstractmethod
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim) unit vectors."""

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalars that the trainer adds up."""

    def prepare(self, info: TrainingSetInfo) -> None:
        """Called once before training: build the heads that only training needs, under `self.train_heads`,
        which is not saved."""

    def train(self, mode: bool = True) -> System:
        """As torch does it, but frozen parts stay in evaluation mode (no dropout)."""
        super().train(mode)
        for part in self.frozen:
            getattr(self, part).eval()
        return self

    def image_parameters(self) -> list[nn.Parameter]:
        """Parameters of the image network that a recipe may train: by default the backbone's last stage."""
        return [*self.backbone.stages[2].parameters(), *self.backbone.close.parameters()]

    def similarity_matrix(self, maps: Iterable[Maps], texts: Sequence[str]) -> Tensor:
        """n images, in batches, and m texts -> (n, m): what a training run is selected by."""
        images = torch.cat([self.embed_images(batch) for batch in maps])
        return images @ torch.cat([self.embed_texts(batch) for batch in text_batches(texts)]).T


class FusionSystem(System):
    """A system that also scores an image and a text together, with a second image encoder."""

    @abstractmethod
    def encode_image(self, x: Tensor) -> Maps:
        """(B, 3, S, S) RGB in 0-1, S a multiple of 32 -> maps of the second image encoder, S/32 x S/32 cells."""

    @abstractmethod
    def image_keys(self, maps: Maps) -> Tensor:
        """What an image contributes to each of its pairs, computed once: (B, tokens, width)."""

    @abstractmethod
    def pair_logits(self, keys: Tensor, texts: Sequence[str]) -> Tensor:
        """keys (P, tokens, width) and P texts, pair by pair -> (P,) logit that they belong together."""


def pool_grid(middle: Tensor, last: Tensor, side: int = 2) -> Maps:
    """Two stages (B, C, 2h, 2h) and (B, D, h, h) -> Maps of h/side x h/side cells."""
    grid = last.shape[-1] // side
    return Maps(*(fn.adaptive_avg_pool2d(stage, grid).flatten(2).transpose(1, 2) for stage in (middle, last)))


def share_of(count: int, share: float) -> int:
    """How many of `count` a share is; at least two, so that there is a negative."""
    return max(2, round(share * count))


def text_batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in batches of TEXTS_PER_BATCH."""
    return (texts[start : start + TEXTS_PER_BATCH] for start in range(0, len(texts), TEXTS_PER_BATCH))
