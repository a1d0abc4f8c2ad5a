"""Stage 3 of training: pictures and texts into one space, on features that the frozen backbone left on disk.

InfoNCE both ways with a learned temperature (Radford et al. 2021). A pair in a batch that might well belong
together is neither a positive nor a negative: the same text on another picture, or the name of a scene and
any picture of such a scene."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from .datasets import Dataset, Row
from .features import Features
from .phrases import phrases


@dataclass(frozen=True)
class Recipe:
    """What the card calls the recipe."""

    epochs: int = 13
    joint_epochs: int = 4
    """The last so many epochs also move the text tower's layers."""
    batch: int = 512
    rate: float = 1e-3
    decay: float = 0.02
    own_captions: float = 0.65
    label_texts: float = 0.15
    """Shares of the texts drawn for a captioned picture; the rest are its paraphrases and second captions."""
    uncaptioned: float = 0.2
    """Share of the pictures that have only a label seen in an epoch."""
    text_share: float = 0.5
    """The text tower's rate as a share of the heads'."""
    made_up_texts: int = 12_000
    distil_epochs: int = 2


@dataclass
class Lessons:
    """Every training picture with the numbers of its texts. `texts` holds each distinct text once."""

    texts: list[str] = field(default_factory=list)
    text_labels: list[int] = field(default_factory=list)
    """The label a text names, -1 for captions."""
    items: list[Item] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def text(self, text: str, label: int = -1) -> int:
        """Number of a text."""
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
            self.text_labels.append(label)
        return self._numbers[text]

    def alike(self) -> Tensor:
        """(labels, labels) bool: which labels people call by the same name."""
        same = phrases().alike
        return torch.tensor([[b in same.get(a, {a}) for b in self.labels] for a in self.labels])


@dataclass(frozen=True)
class Item:
    """One picture: where its features are, its label's number, and the numbers of its texts."""

    source: int
    row: int
    label: int
    captions: tuple[int, ...]
    more: tuple[int, ...]
    names: tuple[int, ...]


def lessons(datasets: Sequence[Dataset]) -> Lessons:
    """The train splits of all datasets."""
    found = Lessons(labels=sorted({row.label for data in datasets for row in data.rows}))
    names = {label: _names(found, number) for number, label in enumerate(found.labels)}
    for source, data in enumerate(datasets):
        for number, row in enumerate(data.rows):
            if row.split == "train":
                found.items.append(_item(found, source, number, row, names[row.label]))
    return found


def _item(found: Lessons, source: int, number: int, row: Row, names: tuple[int, ...]) -> Item:
    captions = tuple(found.text(text) for text in row.captions if text.strip())
    more = tuple(found.text(text) for text in row.more_captions if text.strip())
    return Item(source, number, found.labels.index(row.label), captions, more, names)


def _names(found: Lessons, label: int) -> tuple[int, ...]:
    source = phrases()
    names = source.labels.get(found.labels[label], ())
    return tuple(found.text(t.format(name), label) for name in names for t in source.templates)


def draw(item: Item, recipe: Recipe, rng: np.random.Generator) -> int:
    """The number of one text for a picture."""
    chance = rng.random()
    if item.names and (chance < recipe.label_texts or not item.captions):
        pool = item.names
    elif chance < recipe.label_texts + recipe.own_captions or not item.more:
        pool = item.captions
    else:
        pool = item.more
    return pool[int(rng.integers(len(pool)))]


def epoch_batches(
    found: Lessons, recipe: Recipe, rng: np.random.Generator
) -> Iterator[list[tuple[Item, int]]]:
    """Batches of (picture, number of its text) in random order."""
    usable = [
        item for item in found.items if item.captions or (item.names and rng.random() < recipe.uncaptioned)
    ]
    size = min(recipe.batch, len(usable))
    order = rng.permutation(len(usable))
    for start in range(0, len(usable) - size + 1, size):
        chosen = [usable[i] for i in order[start : start + size]]
        yield [(item, draw(item, recipe, rng)) for item in chosen]


def unclear(batch: Sequence[tuple[Item, int]], found: Lessons, alike: Tensor) -> Tensor:
    """(pictures, texts) bool: pairs off the diagonal that may belong together and are left out of the
    loss."""
    texts = torch.tensor([text for _, text in batch])
    images = torch.tensor([item.label for item, _ in batch])
    named = torch.tensor([found.text_labels[text] for _, text in batch])
    same = texts[:, None] == texts[None]
    same |= alike[images][:, named.clamp_min(0)] & (named >= 0)[None]
    return same & ~torch.eye(len(batch), dtype=torch.bool)


def loss(images: Tensor, texts: Tensor, scale: Tensor, left_out: Tensor) -> Tensor:
    """InfoNCE of unit vectors (B, dim), mean of both directions."""
    logits = (scale * images @ texts.T).masked_fill(left_out, -1e4)
    target = torch.arange(len(images), device=images.device)
    return (fn.cross_entropy(logits, target) + fn.cross_entropy(logits.T, target)) / 2


def gather(
    batch: Sequence[tuple[Item, int]], features: Sequence[Features], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """A random view of each picture: tokens (B, 36, 1024) and detail (B, 512), bf16 as they leave the backbone."""
    places = [(features[item.source], item.row) for item, _ in batch]
    views = [int(rng.integers(source.views)) for source, _ in places]
    tokens = np.stack([source.tokens[view, row] for view, (source, row) in zip(views, places, strict=True)])
    detail = np.stack([source.detail[view, row] for view, (source, row) in zip(views, places, strict=True)])
    return torch.from_numpy(tokens).bfloat16(), torch.from_numpy(detail).bfloat16()


class Average:
    """Exponential moving average of parameters, quick at first."""

    def __init__(self, module: nn.Module, keep: float = 0.995) -> None:
        self.keep = keep
        self.state = {name: value.clone() for name, value in module.state_dict().items()}

    def update(self, module: nn.Module, step: int) -> None:
        """Take in the parameters after a step, counted from 0."""
        share = 1 - min(self.keep, (step + 1) / (step + 10))
        for name, value in module.state_dict().items():
            self.state[name].lerp_(value, share)


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """Warm-up over 3 % of the steps, then half a cosine down to 1 %."""
    warm = min(1.0, (step + 1) / (0.03 * steps + 1))
    return recipe.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))
