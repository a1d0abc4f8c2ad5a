"""What every trainable retrieval system is: two towers over the maps of one backbone, and its losses.

    pictures (B, 3, S, S) -> ResNet50-V2 -> Maps -> embed_images -> (B, dim)
    texts                                       -> embed_texts  -> (B, dim)

The backbone is shared by all of them and does not move while a system is trained, so that training reads
stored maps (features.py) and a system's own file is about what the paper is about. A system that looks at a
pair of picture and text together also is a `FusionSystem`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from rs_text_search_plugin.models.evaluation.hub_correction import Hubs
from rs_text_search_plugin.models.layers.minilm import WordPiece
from rs_text_search_plugin.models.layers.resnet50v2 import ResNet50V2
from torch import Tensor, nn
from torch.nn import functional as fn

INPUT_PX = 192
GRID = 6
"""Places a side: stage 3's 12 x 12 map averaged two by two, stage 2's 24 x 24 four by four."""
PLACES = GRID * GRID
TOGETHER = 256
"""Texts that are embedded at once."""


class Maps(NamedTuple):
    """What a network saw in B pictures, averaged over GRID x GRID places, row by row. Of the backbone:"""

    middle: Tensor
    """(B, PLACES, 512), stage 2."""
    last: Tensor
    """(B, PLACES, 1024), stage 3."""


@dataclass(frozen=True)
class Batch:
    """B pictures with one text each, and what is known about them."""

    maps: Maps
    second: Maps | None
    """Another view of the first of these pictures, for systems with a `second`."""
    texts: list[str]
    images: Tensor
    """(B,) number of the picture among all training pictures."""
    sentences: Tensor
    """(B,) number of the text among all distinct training texts."""
    labels: Tensor
    """(B,) number of the scene class."""
    unclear: Tensor
    """(B, B) bool, picture by text: pairs off the diagonal that may belong together and are no negatives."""
    wrong: Sequence[str] = ()
    """Each text with one thing denied, or "" (contrasts.py); none at all unless the recipe asks for it."""


@dataclass(frozen=True)
class Facts:
    """What a system may want to know about the training set before it starts."""

    pictures: int
    texts: Sequence[str]
    """Every distinct training text, by number."""
    labels: Sequence[str]


class System(nn.Module, ABC):
    """Two towers. Built from a vocabulary and its own settings; `settings` must survive JSON."""

    second: float = 0.0
    """The share of a batch that training needs to see in a second view."""
    still: ClassVar[tuple[str, ...]] = ()
    """Parts besides the backbone that training leaves as they are."""
    fine: ClassVar[tuple[str, ...]] = ()
    """Parts whose weights are kept in 16 bits instead of 8."""
    dim: int

    def __init__(self, vocabulary: Sequence[str], settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.settings = dict(settings)
        self.tokenizer = WordPiece(vocabulary)
        self.backbone = ResNet50V2()
        self.hubs: Hubs | None
        self.register_module("hubs", None)  # centres.py finds them once a system is trained

    @abstractmethod
    def embed_images(self, maps: Maps) -> Tensor:
        """-> (B, dim) unit vectors."""

    @abstractmethod
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim) unit vectors."""

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalars that the trainer adds up."""

    def prepare(self, facts: Facts) -> None:
        """Called once before training: build what only training needs, under `self.lesson`, which is not
        saved."""

    def train(self, mode: bool = True) -> System:
        """As torch does it; parts that stay as they are do so without dropout."""
        super().train(mode)
        for part in self.still:
            getattr(self, part).eval()
        return self

    def learning(self) -> list[nn.Parameter]:
        """What it looks at pictures with, as far as a recipe may train that."""
        return [*self.backbone.stages[2].parameters(), *self.backbone.close.parameters()]

    def compare(self, maps: Iterable[Maps], texts: Sequence[str]) -> Tensor:
        """n pictures, some at a time, and m texts -> (n, m): what training is judged by."""
        images = torch.cat([self.embed_images(some) for some in maps])
        return images @ torch.cat([self.embed_texts(some) for some in split(texts)]).T

    def images(self, x: Tensor) -> Tensor:
        """(B, 3, INPUT_PX, INPUT_PX) RGB in 0-1 -> (B, dim)."""
        return self.embed_images(self.see(x))

    def texts(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim)."""
        return self.embed_texts(texts)

    def see(self, x: Tensor) -> Maps:
        """(B, 3, INPUT_PX, INPUT_PX) RGB in 0-1 -> Maps, in the precision of the towers."""
        x = x.to(self.backbone.stem.weight.dtype).contiguous(memory_format=torch.channels_last)
        kind = next(p.dtype for name, p in self.named_parameters() if not name.startswith("backbone."))
        maps = places(*self.backbone(x))
        return Maps(maps.middle.to(kind), maps.last.to(kind))


class FusionSystem(System):
    """A system that also scores a picture and a text together, after a second look at the picture."""

    @abstractmethod
    def glance(self, x: Tensor) -> Maps:
        """(B, 3, S, S) RGB in 0-1, S a multiple of 32 -> what the second look sees, over S/32 x S/32 places."""

    @abstractmethod
    def keys(self, maps: Maps) -> Tensor:
        """What a picture contributes to every pair it is in, computed once from what `glance` saw: (B, tokens,
        width)."""

    @abstractmethod
    def match(self, keys: Tensor, texts: Sequence[str]) -> Tensor:
        """keys (P, tokens, width) and P texts, pair by pair -> (P,) logit that they belong together."""


def places(middle: Tensor, last: Tensor, side: int = 2) -> Maps:
    """Two stages (B, C, 2h, 2h) and (B, D, h, h) -> Maps of h/side x h/side places."""
    grid = last.shape[-1] // side
    return Maps(*(fn.adaptive_avg_pool2d(stage, grid).flatten(2).transpose(1, 2) for stage in (middle, last)))


def shared(count: int, share: float) -> int:
    """How many of `count` a share is: two at least, so that there is something to tell apart."""
    return max(2, round(share * count))


def split(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Some texts at a time."""
    return (texts[start : start + TOGETHER] for start in range(0, len(texts), TOGETHER))
