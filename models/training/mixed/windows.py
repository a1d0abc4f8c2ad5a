"""Windows on images with boxes: the same things at many scales and in any frame.

A window is a square part of a chip; which things it shows is worked out from the boxes anew, since a caption of the
whole chip does not hold for a part of it. Besides being cut, images are shrunk among their mirror images, joined to one
tile, left half empty, and get things of other images pasted in, so that the look of a data set does not give its things
away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .things import ABSENT, PRESENT, UNKNOWN, Known

BILINEAR = Image.Resampling.BILINEAR
TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
LEAST_GROUND, MOST_GROUND = 28.0, 320.0
"""Side of a window on the ground, m."""
LEAST_PX = 48
"""Side of a window in pixels of its chip."""
AROUND_A_BOX = 0.8
"""Share of the windows that hold one of the chip's boxes."""
INSIDE = 0.5
"""Part of a box that must lie in a window for its thing to be present."""
TRACE = 0.08
"""A smaller part of a box than this does not count at all."""
SMALLEST_PX = 5.0
"""A box with a smaller side than this in the network's input leaves its thing unknown."""
WHOLE = 0.5
"""A window with a smaller part of an image's area may have lost what is said of the whole."""
PASTED_PX = (14, 60)
"""Longer side of a pasted box."""
NO_DATA = ((0, 0, 0), (255, 255, 255), (128, 128, 128))


@dataclass(frozen=True)
class Box:
    """One thing in a chip, in pixels."""

    thing: int
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """px."""
        return max(self.x1 - self.x0, 0.0)

    @property
    def height(self) -> float:
        """px."""
        return max(self.y1 - self.y0, 0.0)


@dataclass(frozen=True)
class Square:
    """A window's place in its chip, in pixels."""

    left: float
    top: float
    size: float


@dataclass(frozen=True)
class Chip:
    """An image with boxes, and what is known of it as a whole."""

    image: Image.Image
    boxes: tuple[Box, ...]
    boxed: tuple[int, ...]
    """Things of which every one has its box."""
    known: Known
    gsd: float | None
    """m/px."""


@dataclass(frozen=True)
class View:
    """A square image for the network, what is known of it, and how many of each boxed thing it shows."""

    image: Image.Image
    known: Known
    counts: dict[int, int] = field(default_factory=dict)
    """Empty where nobody can count."""
    share: float = 1.0
    """Part of the image's area that it shows."""


def window(chip: Chip, rng: np.random.Generator, side: int) -> View:
    """A random window of a chip, resampled to side x side."""
    square = _square(chip, rng)
    known, counts = shown(chip, square, side)
    right, bottom = square.left + square.size, square.top + square.size
    image = chip.image.resize((side, side), BILINEAR, box=(square.left, square.top, right, bottom))
    return View(image, known, counts, square.size**2 / (chip.image.width * chip.image.height))


def whole(chip: Chip, side: int) -> View:
    """The chip as a search takes it, squeezed to a square."""
    known, counts = shown(chip, Square(0, 0, max(chip.image.size)), side)
    return View(chip.image.resize((side, side), BILINEAR), known, counts)


def part_only(chip: Chip, view: View) -> View:
    """A window on too small a part: present is only what boxes tell, the rest of what the chip shows is unknown."""
    if view.share >= WHOLE:
        return view
    boxed = np.isin(np.arange(len(view.known)), chip.boxed)
    return replace(view, known=_state((view.known == PRESENT) & ~boxed, UNKNOWN, view.known))


def shown(chip: Chip, square: Square, side: int) -> tuple[Known, dict[int, int]]:
    """What is known of a window, and how many of each boxed thing lie in it."""
    known, counts, cut = chip.known.copy(), dict.fromkeys(chip.boxed, 0), set()
    for box in chip.boxes:
        part, size = _inside(box, square), math.sqrt(box.width * box.height) * side / square.size
        if part >= INSIDE and size >= SMALLEST_PX:
            counts[box.thing] = counts.get(box.thing, 0) + 1
        elif part > TRACE:
            cut.add(box.thing)
    for thing, count in counts.items():
        known[thing] = PRESENT if count else UNKNOWN if thing in cut else ABSENT
    return known, counts


def _inside(box: Box, square: Square) -> float:
    """The part of a box's area that lies in a square."""
    wide = min(box.x1, square.left + square.size) - max(box.x0, square.left)
    high = min(box.y1, square.top + square.size) - max(box.y0, square.top)
    return max(wide, 0.0) * max(high, 0.0) / max(box.width * box.height, 1e-6)


def _square(chip: Chip, rng: np.random.Generator) -> Square:
    width, height = chip.image.size
    short = min(width, height)
    ground = math.exp(rng.uniform(math.log(LEAST_GROUND), math.log(MOST_GROUND)))
    wanted = ground / chip.gsd if chip.gsd else short * rng.uniform(0.3, 1.0)
    size = float(np.clip(wanted, min(LEAST_PX, short), short))
    if not chip.boxes or rng.random() >= AROUND_A_BOX:
        return Square(rng.uniform(0, width - size), rng.uniform(0, height - size), size)
    box = chip.boxes[int(rng.integers(len(chip.boxes)))]
    size = min(short, max(size, 1.3 * max(box.width, box.height)))
    left = _holding(box.x0, box.x1, size, width, rng)
    return Square(left, _holding(box.y0, box.y1, size, height, rng), size)


def _holding(start: float, end: float, size: float, limit: float, rng: np.random.Generator) -> float:
    """Where a window of `size` may begin so that it holds start ... end and stays within 0 ... limit."""
    first, last = max(0.0, end - size), min(start, limit - size)
    if last > first:
        return rng.uniform(first, last)
    return float(np.clip((start + end - size) / 2, 0, limit - size))


def twice_the_ground(view: View) -> View:
    """The image amid its mirror images."""
    half = view.image.width // 2
    return View(_resized(_around(view, half), view.image.width), view.known)


def shrunk(view: View, rng: np.random.Generator, most: float = 0.5) -> View:
    """Among its mirror images and off the middle: up to 1 + `most` of the ground. Counts do not hold any more."""
    side = view.image.width
    rim = round(rng.uniform(0.15, most) * side)
    around, extent = _around(view, rim), side + rim
    x, y = (int(rng.integers(side + 2 * rim - extent + 1)) for _ in range(2))
    return View(_resized(around[y : y + extent, x : x + extent], side), view.known, {}, view.share)


def joined(views: Sequence[View], rng: np.random.Generator) -> View:
    """Two or four images in one tile, parted off the middle."""
    side = views[0].image.width
    x, y = (round(side * rng.uniform(0.35, 0.65)) for _ in range(2))
    quarters = [(0, 0, x, y), (x, 0, side, y), (0, y, x, side), (x, y, side, side)]
    halves = [(0, 0, x, side), (x, 0, side, side)]
    image, cut = Image.new("RGB", (side, side)), len(views) == len(halves)
    for view, (left, top, right, bottom) in zip(views, halves if cut else quarters, strict=True):
        size = max(right - left, bottom - top)
        image.paste(
            view.image.resize((size, size), BILINEAR).crop((0, 0, right - left, bottom - top)), (left, top)
        )
    return View(image, either(np.stack([view.known for view in views]), cut=cut), {}, 0.25)


def either(known: Known, *, cut: bool = False) -> Known:
    """(images, things) -> what is known of all of them together. `cut`: a part of each is lost, so that what only some
    show may be gone."""
    present = (known == PRESENT).all(0) if cut else (known == PRESENT).any(0)
    return _state(
        present, PRESENT, _state((known == ABSENT).all(0), ABSENT, np.full(known.shape[1], UNKNOWN, np.int8))
    )


def half_empty(view: View, rng: np.random.Generator) -> View:
    """One side without data: what was there may be gone."""
    side, image = view.image.width, view.image.copy()
    depth = round(side * rng.uniform(0.1, 0.5))
    sides = [
        (0, 0, depth, side),
        (side - depth, 0, side, side),
        (0, 0, side, depth),
        (0, side - depth, side, side),
    ]
    colour = NO_DATA[int(rng.integers(len(NO_DATA)))]
    ImageDraw.Draw(image).rectangle(sides[int(rng.integers(len(sides)))], fill=colour)
    lost = (view.known == PRESENT) & (depth >= 0.2 * side)
    return View(image, _state(lost, UNKNOWN, view.known), {}, view.share)


def pasted(view: View, chip: Chip, box: Box, rng: np.random.Generator) -> View:
    """With a box of a chip put somewhere into it, its edges softened. A box of thing -1 is a patch of nothing."""
    image, (patch, mask) = view.image.copy(), _patch(chip, box, rng)
    x, y = (int(rng.integers(-2, max(1, image.width - extent + 2))) for extent in patch.size)
    image.paste(patch, (x, y), mask)
    known = _state((view.known == ABSENT) & (chip.known != ABSENT), UNKNOWN, view.known)
    if box.thing >= 0:
        known[box.thing] = PRESENT if min(patch.size) >= SMALLEST_PX + 2 else UNKNOWN
    counts = {thing: count for thing, count in view.counts.items() if thing != box.thing}
    return View(image, known, counts, view.share)


def empty_patch(chip: Chip, box: Box, rng: np.random.Generator, tries: int = 8) -> Box | None:
    """A box of the same size, of thing -1, in which no boxed thing lies."""
    for _ in range(tries):
        x, y = (
            rng.uniform(0, max(1, chip.image.width - box.width)),
            rng.uniform(0, max(1, chip.image.height - box.height)),
        )
        free = Box(-1, x, y, x + box.width, y + box.height)
        if not any(_meet(free, other, 0.4 * max(box.width, box.height)) for other in chip.boxes):
            return free
    return None


def _patch(chip: Chip, box: Box, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """A box with some margin, turned and resampled, and its soft mask."""
    longer = max(box.width, box.height, 1.0)
    margin, scale = rng.uniform(0.05, 0.35) * longer, rng.uniform(*PASTED_PX) / longer
    left, top = max(0.0, box.x0 - margin), max(0.0, box.y0 - margin)
    right, bottom = min(chip.image.width, box.x1 + margin), min(chip.image.height, box.y1 + margin)
    size = max(4, round((right - left) * scale)), max(4, round((bottom - top) * scale))
    patch, mask = chip.image.resize(size, BILINEAR, box=(left, top, right, bottom)), Image.new("L", size, 0)
    rim = max(1, round(0.06 * max(size)))
    ImageDraw.Draw(mask).rectangle(
        (rim, rim, max(rim, size[0] - rim - 1), max(rim, size[1] - rim - 1)), fill=255
    )
    mask = mask.filter(ImageFilter.GaussianBlur(rim * rng.uniform(0.3, 0.8)))
    if turn := int(rng.integers(4)):
        patch, mask = patch.transpose(TURNS[turn - 1]), mask.transpose(TURNS[turn - 1])
    return patch, mask


def _meet(a: Box, b: Box, margin: float) -> bool:
    across = a.x0 - margin < b.x1 and b.x0 < a.x1 + margin
    return across and a.y0 - margin < b.y1 and b.y0 < a.y1 + margin


def _state(where: np.ndarray[tuple[int], np.dtype[np.bool_]], state: int, otherwise: Known) -> Known:
    return np.where(where, np.int8(state), otherwise)


def _around(view: View, rim: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    return np.pad(np.asarray(view.image), ((rim, rim), (rim, rim), (0, 0)), "symmetric")


def _resized(array: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]], side: int) -> Image.Image:
    return Image.fromarray(array).resize((side, side), BILINEAR)
