"""Where a phrase gained or lost between two rasters of the same place.

Each index is calibrated by its own background, so that another season or other colours shift all of its tiles
alike and change nothing. The tiles of one index are compared with what the other index has on the same ground,
on whatever lattice; the best candidates are then checked on the pixels: the other raster is encoded at exactly
the tile's place and an eighth of a tile to each side, and the smallest difference counts, so that
misregistration is no change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, F64, I64, Bool
from rs_text_search_plugin.contracts.errors import Cancelled, QueryError, RasterError
from rs_text_search_plugin.contracts.messages import Query, Window
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.index.store import Index
from rs_text_search_plugin.engine.raster.crs import CrsUnusableError, same, transform_points
from rs_text_search_plugin.engine.raster.reader import Raster, open_indexed

from .calibration import percent
from .zoom import CalibratedQuery, calibrated_queries

TOLERANCE = 1 / 8
"""Of a tile's side: so far the rasters may lie apart."""
CHECKED = 64
"""Candidates whose pixels are read in each direction."""
LEAST_INSIDE = 0.75
"""Share of a tile that the other raster must cover to be compared."""
SAME_SIZE = 0.6
"""Tiles are compared when the ratio of their sides is less than 2 to this power."""


@dataclass(frozen=True)
class ChangedTile:
    """A tile whose ground shows more of what was asked than it does in the other raster."""

    index: Index
    position: int
    """Row in `index`."""
    other_position: int
    """Row of the tile of the other index that covers most of it."""
    score: float
    """Calibrated, 0-100."""
    other_score: float
    """Of the same ground in the other raster."""
    checked: bool
    """Whether the other raster's pixels were read at this place."""

    @property
    def change(self) -> float:
        """Points of score."""
        return self.score - self.other_score


def changes(
    before: Index, after: Index, encoder: Encoder, query: Query, cancelled: Callable[[], bool]
) -> tuple[list[ChangedTile], list[ChangedTile]]:
    """(gained, lost): tiles of `after` and tiles of `before`, the largest change first, at most CHECKED each.

    Raises QueryError when the rasters share no ground or cannot be brought together, Cancelled.
    """
    for index in (before, after):
        index.require(encoder.fingerprint)
    found = calibrated_queries([before, after], encoder, query)
    old, new = found[str(before.folder)], found[str(after.folder)]
    return _gained(after, new, before, old, cancelled), _gained(before, old, after, new, cancelled)


def _gained(
    here: Index,
    calibrated: CalibratedQuery,
    there: Index,
    other: CalibratedQuery,
    cancelled: Callable[[], bool],
) -> list[ChangedTile]:
    """Tiles of `here` that score higher than the same ground does `there`."""
    scores, other_scores = _scores(here, calibrated), _scores(there, other)
    boxes = boxes_in(there, here.corners(np.arange(len(here.ids))), here.meta.crs)
    rows, others, areas = _same_ground(there, boxes)
    if not len(rows):
        raise QueryError("The two rasters share no ground.", "Choose rasters of the same place.")
    count = len(here.ids)
    covered = np.bincount(rows, areas, count)
    ground = np.bincount(rows, areas * other_scores[others], count) / np.maximum(covered, 1e-9)  # (n,)
    most = np.zeros(count, np.int64)
    order = np.argsort(areas, kind="stable")
    most[rows[order]] = others[order]  # the last one written shares most
    candidates = np.flatnonzero(covered > 0)
    candidates = candidates[np.argsort((ground - scores)[candidates], kind="stable")[:CHECKED]]
    tiles = [
        ChangedTile(here, int(row), int(most[row]), float(scores[row]), float(ground[row]), False)
        for row in candidates
    ]
    tiles = _check(tiles, boxes, there, other, cancelled)
    return sorted((tile for tile in tiles if tile.change > 0), key=lambda tile: -tile.change)


def _scores(index: Index, calibrated: CalibratedQuery) -> F32:
    """(n,) calibrated scores of all tiles."""
    return percent(calibrated.line.logits(np.asarray(index.vectors @ calibrated.query, dtype=np.float32)))


def boxes_in(index: Index, corners: F64, crs: str | None) -> F64:
    """(n, 4, 2) footprints in `crs` -> (n, 4) left, top, right, bottom in px of an index's raster; they need not lie
    inside it. Raises QueryError."""
    points = corners.reshape(-1, 2)
    if (crs is None) != (index.meta.crs is None):
        raise QueryError(
            "Only one of the two rasters has a CRS, so they cannot be laid over each other.",
            "Assign it to the other.",
        )
    if crs and index.meta.crs and not same(crs, index.meta.crs):
        try:
            points = transform_points(points, crs, index.meta.crs)
        except CrsUnusableError as error:
            raise QueryError(
                f"The two rasters cannot be compared: {error}", "Reproject one of them."
            ) from error
    a, b, c, d, e, f = index.meta.transform
    pixels = np.linalg.solve([[a, b], [d, e]], (points - [c, f]).T).T.reshape(-1, 4, 2)
    return np.concatenate([pixels.min(1), pixels.max(1)], axis=1)


def _same_ground(index: Index, boxes: F64) -> tuple[I64, I64, F64]:
    """Boxes (n, 4) in px -> pairs (k,) of a box that lies in the raster and a tile of the index of about its size
    that shares ground with it, and the shared area (k,) in px."""
    import shapely  # noqa: PLC0415

    windows = np.asarray(index.windows, dtype=np.float64)  # (m, 4) x, y, width, height
    tiles = np.concatenate([windows[:, :2], windows[:, :2] + windows[:, 2:]], axis=1)
    inside = np.flatnonzero(_inside(boxes, index.meta.width, index.meta.height))
    pairs = shapely.STRtree(shapely.box(*tiles.T)).query(shapely.box(*boxes[inside].T))
    rows, others = inside[pairs[0]], pairs[1]
    areas = _shared(boxes[rows], tiles[others])
    ratio = (boxes[rows, 2] - boxes[rows, 0]) / windows[others, 2]
    kept = (areas > 0) & (np.abs(np.log2(ratio)) <= SAME_SIZE)
    return rows[kept], others[kept], areas[kept]


def _inside(boxes: F64, width: int, height: int) -> Bool:
    """(n,) whether enough of each box lies in a raster."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return _shared(boxes, np.array([[0, 0, width, height]], np.float64)) >= LEAST_INSIDE * area


def _shared(boxes: F64, others: F64) -> F64:
    """(n, 4) and (n, 4) left, top, right, bottom -> (n,) px that each pair shares."""
    low, high = np.maximum(boxes[:, :2], others[:, :2]), np.minimum(boxes[:, 2:], others[:, 2:])
    return np.asarray((high - low).clip(0).prod(axis=1))


def _check(
    tiles: Sequence[ChangedTile],
    boxes: F64,
    there: Index,
    other: CalibratedQuery,
    cancelled: Callable[[], bool],
) -> list[ChangedTile]:
    """The same tiles with the other raster's score at exactly their places; as they are where it cannot be read."""
    try:
        with open_indexed(there.meta.source, there.meta.bands) as raster:
            return [_checked(tile, boxes[tile.position], there, raster, other, cancelled) for tile in tiles]
    except RasterError:
        return list(tiles)


def _checked(
    tile: ChangedTile,
    box: F64,
    there: Index,
    raster: Raster,
    other: CalibratedQuery,
    cancelled: Callable[[], bool],
) -> ChangedTile:
    if cancelled():
        raise Cancelled("The comparison was stopped.")
    windows = shifted(box, raster.width, raster.height)
    pixels = raster.read_tiles(windows, other.encoder.size, there.meta.stretch)
    cosines = other.encoder.images(pixels) @ other.query
    score = float(percent(other.line.logits(np.array([cosines.max()], np.float32)))[0])
    return ChangedTile(tile.index, tile.position, tile.other_position, tile.score, score, True)


def shifted(box: F64, width: int, height: int) -> list[Window]:
    """A box (4,) in px at its place and TOLERANCE of its side to the four sides, kept inside the raster."""
    left, top, right, bottom = box
    across, down = round(min(right - left, width)), round(min(bottom - top, height))
    found = []
    for x, y in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
        x0 = np.clip(round(left + x * TOLERANCE * across), 0, width - across)
        y0 = np.clip(round(top + y * TOLERANCE * down), 0, height - down)
        found.append(Window(int(x0), int(y0), across, down))
    return found
