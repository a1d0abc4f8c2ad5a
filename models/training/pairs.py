"""Training images with their texts, drawn into batches.

A pair of a batch that may well belong together is neither a positive nor a negative but ignored: the same text on
another image, or the name of a scene and any image of such a scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from rs_text_search_plugin.models.label_prompts import label_prompts
from torch import Tensor

from .datasets import Dataset, Row
from .recipe import Recipe


@dataclass
class TrainingPairs:
    """Every training image with the numbers of its texts. `texts` holds each distinct text once."""

    texts: list[str] = field(default_factory=list)
    text_labels: list[int] = field(default_factory=list)
    """The label that a text names, -1 for captions."""
    items: list[Item] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    images_of: dict[int, list[int]] = field(default_factory=dict)
    """Text -> numbers of the images it is a caption of."""
    _numbers: dict[str, int] = field(default_factory=dict)

    def text(self, text: str, label: int = -1) -> int:
        """Number of a text, new or known."""
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
            self.text_labels.append(label)
        return self._numbers[text]

    def add(self, item: Item) -> None:
        """Add an image."""
        self.items.append(item)
        for text in {*item.captions, *item.more_captions}:
            self.images_of.setdefault(text, []).append(item.number)

    def shared_names(self) -> Tensor:
        """(labels, labels) bool: which labels people call by the same name."""
        same = label_prompts().same_name
        return torch.tensor([[b in same.get(a, {a}) for b in self.labels] for a in self.labels])


@dataclass(frozen=True)
class Item:
    """One training image: where it is, its label's number, and the numbers of its texts."""

    number: int
    """Its own, among all training images."""
    dataset: int
    row: int
    label: int
    captions: tuple[int, ...]
    more_captions: tuple[int, ...]
    label_texts: tuple[int, ...]


def training_pairs(datasets: Sequence[Dataset]) -> TrainingPairs:
    """The train splits of all datasets."""
    pairs = TrainingPairs(labels=sorted({row.label for data in datasets for row in data.rows}))
    label_texts = {label: _label_texts(pairs, number) for number, label in enumerate(pairs.labels)}
    for dataset, data in enumerate(datasets):
        for number, row in enumerate(data.rows):
            if row.split == "train":
                pairs.add(_item(pairs, (dataset, number), row, label_texts[row.label]))
    return pairs


def _item(pairs: TrainingPairs, where: tuple[int, int], row: Row, label_texts: tuple[int, ...]) -> Item:
    captions = tuple(pairs.text(text) for text in row.captions if text.strip())
    more = tuple(pairs.text(text) for text in row.more_captions if text.strip())
    return Item(len(pairs.items), *where, pairs.labels.index(row.label), captions, more, label_texts)


def _label_texts(pairs: TrainingPairs, label: int) -> tuple[int, ...]:
    prompts = label_prompts()
    names = prompts.labels.get(pairs.labels[label], ())
    return tuple(pairs.text(template.format(name), label) for name in names for template in prompts.templates)


def draw_text(item: Item, recipe: Recipe, rng: np.random.Generator) -> int:
    """The number of one text for an image."""
    chance = rng.random()
    if item.label_texts and (chance < recipe.label_texts or not item.captions):
        pool = item.label_texts
    elif chance < recipe.label_texts + recipe.own_captions or not item.more_captions:
        pool = item.captions
    else:
        pool = item.more_captions
    return pool[int(rng.integers(len(pool)))]


def epoch_batches(pairs: TrainingPairs, recipe: Recipe, rng: np.random.Generator) -> list[list[Item]]:
    """The images of an epoch in random order, in batches."""
    usable = [item for item in pairs.items if rng.random() < _share(item, recipe) and _has_text(item)]
    size = min(recipe.batch_size, len(usable))
    order = rng.permutation(len(usable))
    starts = range(0, len(usable) - size + 1, size)
    return [[usable[i] for i in order[start : start + size]] for start in starts]


def _share(item: Item, recipe: Recipe) -> float:
    if not item.captions:
        return recipe.uncaptioned
    return recipe.other_datasets if item.dataset else recipe.first_dataset


def _has_text(item: Item) -> bool:
    return bool(item.captions or item.label_texts)


def ignore_mask(items: Sequence[Item], drawn: Sequence[int], pairs: TrainingPairs, names: Tensor) -> Tensor:
    """(images, texts) bool: pairs off the diagonal that may belong together and are left out of the loss.

    `drawn` are the numbers of the texts, `names` is `pairs.shared_names()`."""
    labels = torch.tensor([item.label for item in items])
    named = torch.tensor([pairs.text_labels[text] for text in drawn])
    same = names[labels][:, named.clamp_min(0)] & (named >= 0)[None]  # (B, B)
    row_of = {item.number: row for row, item in enumerate(items)}
    for column, text in enumerate(drawn):
        same[[row_of[n] for n in pairs.images_of.get(text, ()) if n in row_of], column] = True
    return same & ~torch.eye(len(items), dtype=torch.bool)
