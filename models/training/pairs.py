"""What a training set teaches: pictures with their texts, drawn into batches.

A pair in a batch that might well belong together is neither a positive nor a negative: the same text on
another picture, or the name of a scene and any picture of such a scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from rs_text_search_plugin.models.label_prompts import phrases
from torch import Tensor

from .datasets import Dataset, Row
from .recipe import Recipe


@dataclass
class Lessons:
    """Every training picture with the numbers of its texts. `texts` holds each distinct text once."""

    texts: list[str] = field(default_factory=list)
    text_labels: list[int] = field(default_factory=list)
    """The label a text names, -1 for captions."""
    items: list[Item] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    owners: dict[int, list[int]] = field(default_factory=dict)
    """Text -> numbers of the pictures it is a caption of."""
    _numbers: dict[str, int] = field(default_factory=dict)

    def text(self, text: str, label: int = -1) -> int:
        """Number of a text."""
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
            self.text_labels.append(label)
        return self._numbers[text]

    def add(self, item: Item) -> None:
        """Take in a picture."""
        self.items.append(item)
        for text in {*item.captions, *item.more}:
            self.owners.setdefault(text, []).append(item.number)

    def alike(self) -> Tensor:
        """(labels, labels) bool: which labels people call by the same name."""
        same = phrases().alike
        return torch.tensor([[b in same.get(a, {a}) for b in self.labels] for a in self.labels])


@dataclass(frozen=True)
class Item:
    """One picture: where it is, its label's number, and the numbers of its texts."""

    number: int
    """Its own, among all training pictures."""
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
                found.add(_item(found, source, number, row, names[row.label]))
    return found


def _item(found: Lessons, source: int, number: int, row: Row, names: tuple[int, ...]) -> Item:
    captions = tuple(found.text(text) for text in row.captions if text.strip())
    more = tuple(found.text(text) for text in row.more_captions if text.strip())
    return Item(len(found.items), source, number, found.labels.index(row.label), captions, more, names)


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


def epoch_batches(found: Lessons, recipe: Recipe, rng: np.random.Generator) -> list[list[Item]]:
    """The pictures of an epoch in random order, in batches."""
    shares = (recipe.first, recipe.others)
    usable = [
        item
        for item in found.items
        if rng.random() < (shares[min(item.source, 1)] if item.captions else recipe.uncaptioned)
        and (item.captions or item.names)
    ]
    size = min(recipe.batch, len(usable))
    order = rng.permutation(len(usable))
    starts = range(0, len(usable) - size + 1, size)
    return [[usable[i] for i in order[start : start + size]] for start in starts]


def unclear(items: Sequence[Item], drawn: Sequence[int], found: Lessons, alike: Tensor) -> Tensor:
    """(pictures, texts) bool: pairs off the diagonal that may belong together and are left out of the
    loss."""
    images = torch.tensor([item.label for item in items])
    named = torch.tensor([found.text_labels[text] for text in drawn])
    same = alike[images][:, named.clamp_min(0)] & (named >= 0)[None]  # (B, B)
    where = {item.number: place for place, item in enumerate(items)}
    for column, text in enumerate(drawn):
        same[[where[n] for n in found.owners.get(text, ()) if n in where], column] = True
    return same & ~torch.eye(len(items), dtype=torch.bool)
