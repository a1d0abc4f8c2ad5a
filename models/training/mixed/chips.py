"""Views and texts of chips with boxes, drawn by set, and patches of them to paste elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image
from rs_text_search_plugin.models.training.datasets import Dataset, Row

from .captions import caption, one_of
from .examples import Text
from .things import ABSENT, PRESENT, UNKNOWN, Known, Things
from .windows import WHOLE, Box, Chip, View, empty_patch, part_only, pasted, shrunk, window

SHRUNK = 0.25
"""Share of the views of whole chips that are shrunk among their mirror images."""
OWN_CAPTION = 0.2
"""Share of texts of whole chips that are captions of the data set."""
ABOUT_BOXES = 0.8
"""Share of the other texts that are about boxed things."""
NOTHING_PASTED = 0.25
"""Share of pasted patches that hold nothing, so that a trace of pasting is no sign of a thing."""
LEAST_PASTED_PX = 14
"""Shorter side of a box that can be pasted."""
NEVER_PASTED = ("tree",)


class ObjectChips:
    """The train split of a data set with boxes, decoded once."""

    def __init__(self, data: Dataset, table: Things, labels: Sequence[str]) -> None:
        self.data, self.table = data, table
        self.rows: dict[str, list[int]] = {}
        for number, row in enumerate(data.rows):
            if row.split == "train":
                self.rows.setdefault(row.set, []).append(number)
        weights = np.array([table.sets[name].weight for name in self.rows])
        self.shares = weights / weights.sum()
        self.scenes = {name: _scenes(table.sets[name].scenes, labels) for name in self.rows}
        self.boxes = self._boxes()
        self._images: dict[int, Image.Image] = {}

    def drawn(self, rng: np.random.Generator) -> int:
        """A random chip: first a set, by its weight."""
        name = list(self.rows)[int(rng.choice(len(self.shares), p=self.shares))]
        return one_of(self.rows[name], rng)

    def scenes_of(self, number: int) -> Known:
        """(labels,): which scenes a chip may show."""
        return self.scenes[self.data.rows[number].set]

    def chip(self, number: int) -> Chip:
        """A chip of a row."""
        if number not in self._images:
            self._images[number] = self.data.images.read(self.data.rows[number].image)
        return open_chip(self.data.rows[number], self._images[number], self.table)

    def view(self, number: int, side: int, rng: np.random.Generator) -> View:
        """A window on a chip."""
        chip = self.chip(number)
        view = part_only(chip, window(chip, rng, side))
        return shrunk(view, rng) if view.share > WHOLE and rng.random() < SHRUNK else view

    def texts(self, number: int, view: View, count: int, rng: np.random.Generator) -> list[Text]:
        """At most `count`; none when nothing is known to be present."""
        found = [self.text(number, view, rng) for _ in range(count)]
        return [text for text in found if text]

    def text(self, number: int, view: View, rng: np.random.Generator) -> Text | None:
        """One of the data set's captions where it holds for the view, else one made from what the view shows."""
        row = self.data.rows[number]
        if row.captions and view.share > WHOLE and rng.random() < OWN_CAPTION:
            said = one_of(row.captions, rng)
            about = np.flatnonzero(self.table.named([said]))
            if (view.known[about] == PRESENT).all() and (view.counts or not row.boxes):
                return Text(said, about=tuple(map(int, about)), of_things=len(about) > 0)
        boxed = self.table.sets[row.set].boxed
        return self.made(
            view, boxed if boxed and rng.random() < ABOUT_BOXES else range(len(self.table.all)), rng
        )

    def made(self, view: View, among: Sequence[int], rng: np.random.Generator) -> Text | None:
        """A caption about present things."""
        said, about = caption(view, self.table, rng, among)
        return Text(said, about=about, of_things=True) if said else None

    def paste(self, view: View, rng: np.random.Generator) -> tuple[View, Text | None]:
        """A thing of some chip put into a view, and a text about it; or a patch with nothing in it."""
        thing = one_of(list(self.boxes), rng)
        number, box = one_of(self.boxes[thing], rng)
        chip = self.chip(number)
        if rng.random() < NOTHING_PASTED:
            free = empty_patch(chip, box, rng)
            return (pasted(view, _without(chip), free, rng) if free else view), None
        made = pasted(view, chip, box, rng)
        if made.known[thing] != PRESENT:
            return made, None
        return made, self.made(replace(made, counts={}), [thing], rng)

    def _boxes(self) -> dict[int, list[tuple[int, Box]]]:
        """Thing -> row and box of each that can be pasted."""
        found: dict[int, list[tuple[int, Box]]] = {}
        barred = {self.table.number[name] for name in NEVER_PASTED}
        for number in (number for rows in self.rows.values() for number in rows):
            for box in boxes(self.data.rows[number], self.table):
                if box.thing not in barred and min(box.width, box.height) >= LEAST_PASTED_PX:
                    found.setdefault(box.thing, []).append((number, box))
        return found


def open_chip(row: Row, image: Image.Image, table: Things) -> Chip:
    """A row with what its set, label, captions and boxes tell."""
    known = table.of_captions(row.set, row.captions)
    if row.label.startswith("no "):
        known[table.named([row.label])] = ABSENT
    found = boxes(row, table)
    for box in found:
        known[box.thing] = PRESENT
    return Chip(image, found, table.sets[row.set].boxed, known, row.gsd)


def boxes(row: Row, table: Things) -> tuple[Box, ...]:
    """Those of things that the table has."""
    return tuple(Box(table.number[name], *corners) for name, *corners in row.boxes if name in table.number)


def _without(chip: Chip) -> Chip:
    """A part of a chip without any boxed thing."""
    known = chip.known.copy()
    known[list(chip.boxed)] = ABSENT
    return replace(chip, known=known)


def _scenes(possible: frozenset[str], labels: Sequence[str]) -> Known:
    return np.array([UNKNOWN if label in possible else ABSENT for label in labels], np.int8)
