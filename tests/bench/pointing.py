"""How well a search points at the thing inside its tile, on val chips with boxes.

    python -m tests.bench.pointing MODEL OBJECTS.jsonl[:IMAGES] [--most 30]

Each chip (its middle square) is a tile that holds the thing asked for by its plain plural name. `point` is the share of
tiles whose point lies in a true box, against the tile's centre in the same table; `overlap` the mean over the tiles of
the intersection over union of the box told and the true box that fits it best; `area` the mean share of the tile inside
true boxes. Tiles more than half inside boxes are left out, and no thing counts with more than --most tiles.

Small things that whole tiles miss: all tiles of the bench are ranked for each name, by the tile's own score and by that
of its best window (search with zoom); `recall` is the share of tiles with the thing among as many first ones, 50 at
most. Tiles of which nobody can tell are passed over.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from PIL import Image
from rs_text_search_plugin.models.registry import load
from rs_text_search_plugin.models.training.datasets import Dataset, Row, open_dataset, pixels
from rs_text_search_plugin.models.training.mixed.chips import open_chip
from rs_text_search_plugin.models.training.mixed.things import PRESENT, UNKNOWN, Things, things
from rs_text_search_plugin.models.training.mixed.windows import Box, Square, shown

from rs_text_search_plugin.contracts.arrays import F64, U8
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.search.calibration import Line
from rs_text_search_plugin.engine.search.zoom import CalibratedQuery, Pointer

SIDE = 384
LARGEST_AREA = 0.5
LEAST_PX = 2
"""A box of which less is left inside the tile does not count."""
RECALL_AT = 50
POINTED = ("airplane", "storage tank", "swimming pool", "boat")
"""What the aim of 70 % is about."""
RAW = Line(slope=10.0, offset=0.0)
"""Monotone in the cosine: only ranks matter here."""


@dataclass(frozen=True)
class Tile:
    """A square chip with its boxes, px of SIDE: number of the thing, left, top, right, bottom."""

    pixels: U8
    boxes: tuple[tuple[int, float, float, float, float], ...]
    known: np.ndarray
    """(things,) what it shows."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("objects", metavar="OBJECTS.jsonl[:IMAGES]")
    parser.add_argument("--most", type=int, default=30)
    parser.add_argument("--recall", action="store_true", help="recall with and without zoom as well (slow)")
    args = parser.parse_args()
    table, encoder = things(), load(args.model)
    found = tiles(open_dataset(args.objects), table, args.most)
    report_points(found, table, encoder)
    if args.recall:
        report_recall(found, table, encoder)


def tiles(data: Dataset, table: Things, most: int) -> list[Tile]:
    """Val chips with boxes, at most so many of each thing."""
    count: dict[int, int] = defaultdict(int)
    found = []
    for row in (row for row in data.rows if row.split == "val" and row.boxes):
        tile = square(row, data.images.read(row.image), table)
        wanted = {thing for thing, *_ in tile.boxes if count[thing] < most}
        if wanted:
            found.append(tile)
        for thing in {thing for thing, *_ in tile.boxes}:
            count[thing] += 1
    return found


def square(row: Row, image: Image.Image, table: Things) -> Tile:
    """The middle of a chip, SIDE x SIDE px, with the boxes that reach into it."""
    chip = open_chip(row, image, table)
    size = min(image.size)
    middle = Square((image.width - size) / 2, (image.height - size) / 2, size)
    edges = (middle.left, middle.top, middle.left + size, middle.top + size)
    cut = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=edges)
    known, _ = shown(chip, middle, SIDE)
    boxes = [(box.thing, *_within(box, middle)) for box in chip.boxes]
    return Tile(
        pixels(cut), tuple(box for box in boxes if min(box[3] - box[1], box[4] - box[2]) > LEAST_PX), known
    )


def _within(box: Box, middle: Square) -> tuple[float, float, float, float]:
    """A box in px of the tile, cut at its edges."""
    scale = SIDE / middle.size
    x0, x1 = (float(np.clip((x - middle.left) * scale, 0, SIDE)) for x in (box.x0, box.x1))
    y0, y1 = (float(np.clip((y - middle.top) * scale, 0, SIDE)) for y in (box.y0, box.y1))
    return x0, y0, x1, y1


def report_points(found: list[Tile], table: Things, encoder: Encoder) -> None:
    """The table of points and boxes."""
    print("| thing | tiles | area | centre | point | overlap |\n|---|---|---|---|---|---|")
    means = {}
    for thing, name in ((number, thing.many[0]) for number, thing in enumerate(table.all)):
        calibrated = CalibratedQuery(encoder, encoder.texts([name])[0], RAW)
        rows = [
            _judged(tile, thing, calibrated) for tile in found if any(box[0] == thing for box in tile.boxes)
        ]
        rows = [row for row in rows if row[0] <= LARGEST_AREA]
        if not rows:
            continue
        area, centre, point, overlap = np.mean(rows, axis=0)
        means[table.all[thing].name] = (centre, point, overlap)
        print(
            f"| {name} | {len(rows)} | {area:.2f} | {100 * centre:.0f} % | {100 * point:.0f} % | {overlap:.2f} |"
        )
    for title, names in (
        ("all things", list(means)),
        (", ".join(POINTED), [n for n in POINTED if n in means]),
    ):
        centre, point, overlap = np.mean([means[name] for name in names], axis=0)
        print(f"\n{title}: centre {100 * centre:.0f} %, point {100 * point:.0f} %, overlap {overlap:.2f}")


def _judged(tile: Tile, thing: int, calibrated: CalibratedQuery) -> tuple[float, bool, bool, float]:
    """Area, whether centre and point lie in a box, and the overlap."""
    boxes = np.array([box[1:] for box in tile.boxes if box[0] == thing])  # (k, 4)
    area = float((boxes[:, 2:] - boxes[:, :2]).prod(1).sum()) / SIDE**2
    pointer = calibrated.point(tile.pixels)
    return area, _in(boxes, 0.5, 0.5), _in(boxes, pointer.x, pointer.y), _overlap(boxes, pointer)


def _in(boxes: F64, x: float, y: float) -> bool:
    x, y = x * SIDE, y * SIDE
    return bool(((boxes[:, 0] <= x) & (x <= boxes[:, 2]) & (boxes[:, 1] <= y) & (y <= boxes[:, 3])).any())


def _overlap(boxes: F64, pointer: Pointer) -> float:
    told = np.array(pointer.box) * SIDE
    low, high = np.maximum(boxes[:, :2], told[:2]), np.minimum(boxes[:, 2:], told[2:])
    shared = (high - low).clip(0).prod(1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (told[2:] - told[:2]).prod() - shared
    return float((shared / union).max())


def report_recall(found: list[Tile], table: Things, encoder: Encoder) -> None:
    """Recall of tiles with the thing, by whole tiles and with zoom."""
    whole = np.concatenate([encoder.images(tile.pixels[None]) for tile in found])
    known = np.stack([tile.known for tile in found])
    print("\n| thing | tiles with it | recall, whole tiles | with zoom |\n|---|---|---|---|")
    for number, thing in enumerate(table.all):
        told = known[:, number] != UNKNOWN
        right = known[told, number] == PRESENT
        if right.sum() < 5 or right.all():
            continue
        calibrated = CalibratedQuery(encoder, encoder.texts([thing.many[0]])[0], RAW)
        zoomed = np.array(
            [calibrated.point(tile.pixels).score for tile, one in zip(found, told, strict=True) if one]
        )
        plain, close = (_recall(scores, right) for scores in (whole[told] @ calibrated.query, zoomed))
        print(f"| {thing.many[0]} | {int(right.sum())} | {100 * plain:.0f} % | {100 * close:.0f} % |")


def _recall(scores: F64, right: np.ndarray) -> float:
    depth = min(RECALL_AT, int(right.sum()))
    return float(right[np.argsort(-scores, kind="stable")[:depth]].sum() / right.sum())


if __name__ == "__main__":
    main()
