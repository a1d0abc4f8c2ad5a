"""How well plain names find things: over val chips with boxes, with val images of scenes among them.

An image that may or may not show a thing (training/mixed/things.py) is passed over; the share of right ones among the
first ten of the rest is a name's precision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from rs_text_search_plugin.models.systems.base import INPUT_PX
from rs_text_search_plugin.models.training.datasets import Dataset, Row, pixels
from rs_text_search_plugin.models.training.mixed.chips import open_chip
from rs_text_search_plugin.models.training.mixed.things import PRESENT, UNKNOWN, Known, Things
from rs_text_search_plugin.models.training.mixed.windows import Chip, View, part_only, whole, window

from rs_text_search_plugin.contracts.arrays import F32, U8

DEPTH = 10
FEWEST = 8
"""Images that must show a thing for its names to be measured."""
LEAST_PX = 128
"""Shorter side of a chip that is also measured by a window on it."""


@dataclass(frozen=True)
class Pool:
    """n images, what is known of the things in them, and the set of things they are from ("" for scenes)."""

    images: U8
    """(n, INPUT_PX, INPUT_PX, 3)"""
    known: Known
    """(n, things)"""
    origin: npt.NDArray[np.str_]
    ground: F32
    """Side of each on the ground, m; nan where it is not known."""

    def things(self) -> list[int]:
        """Those that enough images show."""
        return [int(t) for t in np.flatnonzero((self.known == PRESENT).sum(0) >= FEWEST)]


def pooled(objects: Sequence[Dataset], scenes: Sequence[Dataset], table: Things) -> Pool:
    """Val chips, whole and by a window, then val images of scenes, which count against a name but never for it."""
    views = [view for data in objects for view in object_views(data, table)]
    told = [image for data in scenes for image in scene_images(data, table)]
    negative = [np.where(known == PRESENT, np.int8(UNKNOWN), known) for _, known in told]
    return Pool(
        np.stack([*(pixels(one.view.image) for one in views), *(image for image, _ in told)]),
        np.stack([*(one.view.known for one in views), *negative]),
        np.array([*(one.origin for one in views), *("" for _ in told)]),
        np.array([*(one.ground for one in views), *(np.nan for _ in told)], np.float32),
    )


class ObjectView(NamedTuple):
    """A view of a chip, the set that it is from, and the side of its ground in m, nan where it is not known."""

    view: View
    origin: str
    ground: float


def object_views(
    data: Dataset, table: Things, seed: int = 0, *, windows_only: bool = False
) -> Iterator[ObjectView]:
    """Each val chip as a whole, and a window on each that is large enough."""
    rng = np.random.default_rng(seed)
    for row in data.split("val"):
        chip = open_chip(row, data.images.read(row.image), table)
        if not windows_only:
            yield _placed(chip, whole(chip, INPUT_PX), row)
        if min(chip.image.size) > LEAST_PX:
            yield _placed(chip, part_only(chip, window(chip, rng, INPUT_PX)), row)


def _placed(chip: Chip, view: View, row: Row) -> ObjectView:
    area = view.share * chip.image.width * chip.image.height
    return ObjectView(view, row.set, float(area**0.5 * chip.gsd) if chip.gsd else float("nan"))


def scene_images(data: Dataset, table: Things) -> Iterator[tuple[U8, Known]]:
    """Each val image, with what its label and captions tell of things."""
    for row in data.split("val"):
        image = data.images.read(row.image).resize((INPUT_PX, INPUT_PX), Image.Resampling.BILINEAR)
        yield pixels(image), table.of_captions(row.label, [*row.captions, *row.more_captions])


def plain_names(table: Things, chosen: Sequence[int]) -> list[tuple[int, str]]:
    """Each thing with its plain name, singular and plural."""
    return [(thing, name) for thing in chosen for name in (table.all[thing].one[0], table.all[thing].many[0])]


def precision(similarity: F32, known: Known) -> float:
    """(n,) similarity of a name and what is known of its thing (n,) -> share of right ones among the first DEPTH."""
    right = _ranked(similarity, known)[:DEPTH]
    return float(right.mean())


def average_precision(similarity: F32, known: Known) -> float:
    """The mean over the right ones of the precision down to each."""
    right = _ranked(similarity, known)
    return float((np.cumsum(right) / np.arange(1, len(right) + 1))[right].mean())


def _ranked(similarity: F32, known: Known) -> npt.NDArray[np.bool_]:
    """Whether each image that can be told is right, the most similar first."""
    sure = known != UNKNOWN
    order = np.argsort(-similarity[sure], kind="stable")
    return np.asarray(known[sure][order] == PRESENT)
