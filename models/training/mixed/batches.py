"""Batches that mix images of scenes with captions and chips of things with boxes.

Every batch holds the same shares of the data sets, and among the sets of things each is drawn by its own weight, not by
its number of chips, so that the look of a set does not stand for its thing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rs_text_search_plugin.models.training.augment import augmented_whole
from rs_text_search_plugin.models.training.datasets import pixels

from .chips import ObjectChips
from .examples import Example, Text
from .scenes import SceneImages, Zoom
from .things import PRESENT, Known
from .windows import View, either, half_empty, joined

IN_HALVES = 0.4
"""Share of joined tiles that are made of two images; the rest are made of four."""
ABOUT_PASTED = 0.5
"""Share of an image's texts that give way to one about what was pasted."""


@dataclass(frozen=True)
class Mix:
    """How batches are mixed, all in shares of 1."""

    scenes: tuple[float, ...]
    """Of each captioned data set, in order."""
    things: float
    """Of all sets of things together."""
    joined: float = 0.04
    half_empty: float = 0.02
    pasted: float = 0.05
    closer: float = 0.12
    farther: float = 0.12


@dataclass(frozen=True)
class Part:
    """A view with its texts, before it is made an example."""

    view: View
    texts: tuple[Text, ...]
    captions: frozenset[int]
    scenes: Known
    captioned: bool


class MixedBatches:
    """Draws batches from captioned images and, where there are any, chips of things."""

    def __init__(
        self, scenes: SceneImages, things: ObjectChips | None, mix: Mix, side: int, texts: int
    ) -> None:
        self.scenes, self.things, self.mix, self.side, self.texts = scenes, things, mix, side, texts
        self.zoom = Zoom(mix.closer, mix.farther)
        weights = np.array([*mix.scenes, mix.things if things else 0.0])
        self.shares = weights / weights.sum()

    def batch(self, size: int, rng: np.random.Generator) -> list[Example]:
        """`size` examples; what the shares leave over comes from the first data set."""
        counts = np.floor(size * self.shares).astype(int)
        counts[0] += size - counts.sum()
        return [self.example(source, rng) for source, count in enumerate(counts) for _ in range(count)]

    def example(self, source: int, rng: np.random.Generator) -> Example:
        """A varied view of an image of a source: a captioned data set by number, then the chips of things."""
        part, chance = self._part(source, self.texts, rng), rng.random()
        for share, change in self._changes():
            if chance < share:
                part = change(part, rng)
                break
            chance -= share
        image = pixels(augmented_whole(part.view.image, rng))
        return Example(image, part.texts, part.captions, part.view.known, part.scenes, part.captioned)

    def _changes(self) -> list[tuple[float, Callable[[Part, np.random.Generator], Part]]]:
        return [
            (self.mix.pasted if self.things else 0.0, self._pasted),
            (self.mix.joined, self._joined),
            (self.mix.half_empty, self._half_empty),
        ]

    def _part(self, source: int, texts: int, rng: np.random.Generator) -> Part:
        if source == len(self.mix.scenes):
            return self._thing_part(texts, rng)
        item = self.scenes.drawn(source, rng)
        said = tuple(self.scenes.texts(item, texts, rng))
        view = self.scenes.view(item, self.zoom, self.side, rng)
        return Part(view, said, self.scenes.captions(item), self.scenes.scenes(item), captioned=True)

    def _thing_part(self, texts: int, rng: np.random.Generator) -> Part:
        assert self.things is not None  # nosec B101 - without chips their share is 0
        number = self.things.drawn(rng)
        view = self.things.view(number, self.side, rng)
        said = tuple(self.things.texts(number, view, texts, rng))
        return Part(view, said, frozenset(), self.things.scenes_of(number), captioned=False)

    def _pasted(self, part: Part, rng: np.random.Generator) -> Part:
        assert self.things is not None  # nosec B101
        view, text = self.things.paste(part.view, rng)
        if text is None:
            return Part(view, part.texts, part.captions, part.scenes, part.captioned)
        texts = tuple(text if rng.random() < ABOUT_PASTED else other for other in part.texts) or (text,)
        return Part(view, texts, part.captions, part.scenes, captioned=False)

    def _joined(self, _: Part, rng: np.random.Generator) -> Part:
        """Other images than the one that was drawn, with some of the texts that still hold."""
        count = 2 if rng.random() < IN_HALVES else 4
        parts = [self._part(int(rng.choice(len(self.shares), p=self.shares)), 1, rng) for _ in range(count)]
        view = joined([part.view for part in parts], rng)
        texts = _holding([text for part in parts for text in part.texts], view)
        chosen = tuple(texts[number] for number in rng.permutation(len(texts))[: self.texts])
        captions = frozenset(number for part in parts for number in part.captions)
        return Part(
            view, chosen, captions, either(np.stack([part.scenes for part in parts])), captioned=False
        )

    @staticmethod
    def _half_empty(part: Part, rng: np.random.Generator) -> Part:
        view = half_empty(part.view, rng)
        return Part(view, tuple(_holding(part.texts, view)), part.captions, part.scenes, part.captioned)


def _holding(texts: Sequence[Text], view: View) -> list[Text]:
    """Captions, and texts about things that are present."""
    return [
        text
        for text in texts
        if not text.of_things or all(view.known[thing] == PRESENT for thing in text.about)
    ]
