"""Views and texts of images of scenes: captioned, or with a label alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from rs_text_search_plugin.models.label_prompts import label_prompts
from rs_text_search_plugin.models.training.datasets import Dataset
from rs_text_search_plugin.models.training.pairs import Item, TrainingPairs, draw_text
from rs_text_search_plugin.models.training.recipe import MixedRecipe

from .captions import caption
from .examples import Text
from .things import ABSENT, PRESENT, UNKNOWN, Known, Things
from .windows import BILINEAR, WHOLE, View, shrunk, twice_the_ground

CENTRED = 0.4
"""Share of the small crops that lie in the middle."""
TWICE = 0.4
"""Share of the views of more ground that show just twice as much."""


@dataclass(frozen=True)
class Zoom:
    """Shares of views of much less and of more ground than the image has."""

    closer: float
    farther: float


class SceneImages:
    """The train splits of captioned data sets, decoded once."""

    def __init__(
        self, datasets: Sequence[Dataset], found: TrainingPairs, table: Things, recipe: MixedRecipe
    ) -> None:
        self.datasets, self.found, self.table, self.recipe = datasets, found, table, recipe
        self.items = [[item for item in found.items if item.dataset == n] for n in range(len(datasets))]
        names = label_prompts()
        self.related = np.stack([_related(label, found.labels, names.same_name) for label in found.labels])
        self.title = [set(names.labels.get(label, (label,))[0].lower().split()) for label in found.labels]
        self._images: dict[tuple[int, int], Image.Image] = {}
        self._things: dict[int, Known] = {}
        self._texts: dict[int, Text] = {}

    def drawn(self, source: int, rng: np.random.Generator) -> Item:
        """A random image of a data set."""
        return self.items[source][int(rng.integers(len(self.items[source])))]

    def things(self, item: Item) -> Known:
        """What its label and captions tell of things."""
        if item.number not in self._things:
            self._things[item.number] = self.table.of_captions(
                self.found.labels[item.label], self._captions(item)
            )
        return self._things[item.number]

    def scenes(self, item: Item) -> Known:
        """(labels,): its own, those that share a name with it or are named in its captions, and all others."""
        said = set(" ".join(self._captions(item)).lower().replace(".", " ").split())
        named = np.array([title <= said for title in self.title])
        known = self.related[item.label]
        return np.where(named & (known == ABSENT), np.int8(UNKNOWN), known)

    def view(self, item: Item, zoom: Zoom, side: int, rng: np.random.Generator) -> View:
        """A random part of the image, or the image amid its mirror images."""
        image, chance = self._image(item), rng.random()
        if chance > 1 - zoom.farther:
            entire = View(image.resize((side, side), BILINEAR), self.things(item))
            return twice_the_ground(entire) if rng.random() < TWICE else shrunk(entire, rng)
        close = chance < zoom.closer
        part = rng.uniform(0.45, 0.65) if close else rng.uniform(0.65, 1.0)
        return self._cut(item, image, part, side, rng if not close or rng.random() >= CENTRED else None)

    def texts(self, item: Item, count: int, rng: np.random.Generator) -> list[Text]:
        """Different ones, as far as there are."""
        found: dict[str, Text] = {}
        for _ in range(3 * count):
            text = self.text(item, rng)
            found.setdefault(text.text, text)
            if len(found) == count:
                break
        return list(found.values())

    def text(self, item: Item, rng: np.random.Generator) -> Text:
        """A caption, a name of its scene, or one of a thing that its captions name."""
        if rng.random() < self.recipe.thing_texts:
            known = View(Image.new("RGB", (1, 1)), self.things(item))
            said, about = caption(known, self.table, rng, range(len(self.table.all)))
            if said:
                return Text(said, about=about, of_things=True)
        return self._text(draw_text(item, self.recipe, rng))

    def captions(self, item: Item) -> frozenset[int]:
        """Numbers of all of them."""
        return frozenset((*item.captions, *item.more_captions))

    def _text(self, number: int) -> Text:
        if number not in self._texts:
            said = self.found.texts[number]
            about = tuple(int(thing) for thing in np.flatnonzero(self.table.named([said])))
            self._texts[number] = Text(said, number, self.found.text_labels[number], about)
        return self._texts[number]

    def _cut(
        self, item: Item, image: Image.Image, part: float, side: int, rng: np.random.Generator | None
    ) -> View:
        """A square with `part` of the shorter side, in the middle or anywhere."""
        size, known = part * min(image.size), self.things(item)
        left, top = ((rng.uniform(0, extent - size) if rng else (extent - size) / 2) for extent in image.size)
        if part**2 < WHOLE:
            known = np.where(known == PRESENT, np.int8(UNKNOWN), known)
        cut = image.resize((side, side), BILINEAR, box=(left, top, left + size, top + size))
        return View(cut, known, {}, part**2)

    def _captions(self, item: Item) -> list[str]:
        row = self.datasets[item.dataset].rows[item.row]
        return [*row.captions, *row.more_captions]

    def _image(self, item: Item) -> Image.Image:
        key = item.dataset, item.row
        if key not in self._images:  # a decoded image takes 0.15 MB
            data = self.datasets[item.dataset]
            self._images[key] = data.images.read(data.rows[item.row].image)
        return self._images[key]


def _related(label: str, labels: Sequence[str], same_name: dict[str, frozenset[str]]) -> Known:
    """(labels,): the label itself, those that people call by the same name, and the rest."""
    same = same_name.get(label, {label})
    return np.array([PRESENT if b == label else UNKNOWN if b in same else ABSENT for b in labels], np.int8)
