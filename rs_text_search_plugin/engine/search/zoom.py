"""Where inside a tile the thing is: its pixels are read again and encoded in windows of all, of half and of a
quarter of its side, each overlapping the next by half.

An encoder that can tell what each part of a window adds to its similarity with the query (SpatialEncoder)
gives a map for every window; maps of one scale are averaged where windows overlap, those of all scales are
added up. The highest cells are the point, the cells around it that stand out at least half as much are the
box. With an encoder that cannot, a window's similarity counts for all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, I64, U8
from rs_text_search_plugin.contracts.messages import Query, Window
from rs_text_search_plugin.contracts.protocols import Encoder, SpatialEncoder

from .calibration import Line, background, calibration, gain, lines, percent
from .query.embedding import vocabulary_vectors
from .search import wanted_vector

if TYPE_CHECKING:
    from rs_text_search_plugin.engine.index.store import Index
    from rs_text_search_plugin.engine.raster.reader import Raster

CELLS = 48
"""Side of a relevance map: a quarter of a tile is 12 cells, which the encoders' grids of 6 x 6 divide."""
PARTS = (1, 2, 4)
"""Windows have the tile's side divided by these, and lie half their own side apart."""
SMOOTHED = {1: 2, 2: 2, 4: 1}
"""Part of the side -> cells to either side over which its map is averaged: coarse maps say less about where."""
BOX_LEVEL, POINT_LEVEL = 0.5, 0.98
"""How far from the map's mean to its peak the cells of the box rise, and those whose middle is the point."""


@dataclass(frozen=True)
class Pointer:
    """Where a query is found inside a tile. Lengths are shares of the tile's width and height, from its upper left."""

    x: float
    y: float
    box: tuple[float, float, float, float]
    """Left, top, right, bottom."""
    score: float
    """Calibrated, 0-100: that of the tile or of its best window, whichever is higher."""
    relevance: F32
    """(CELLS, CELLS): how much each cell speaks for the query, 0-1."""


@dataclass(frozen=True)
class CalibratedQuery:
    """A query on one index: its unit vector (dim,), the encoder, and the line that calibrates a cosine."""

    encoder: Encoder
    query: F32
    line: Line

    def point(self, tile: U8) -> Pointer:
        """(side, side, 3) RGB, side a multiple of CELLS -> where the query is found in it."""
        best, relevance = -1.0, np.zeros((CELLS, CELLS), np.float32)
        for part in PARTS:
            starts = list(_starts(part))
            cosines, shares = self._scored(np.stack([_cut(tile, part, x, y) for x, y in starts]))
            best = max(best, float(cosines.max()))
            relevance += _smooth(_merged(part, starts, shares), SMOOTHED[part])
        logits = self.line.logits(np.array([best], np.float32))
        return _pointer(relevance, float(percent(logits)[0]))

    def _scored(self, windows: U8) -> tuple[F32, F32]:
        """(n, h, w, 3) -> cosines (n,) with the query, and what the parts of each add to it (n, g, g)."""
        if isinstance(self.encoder, SpatialEncoder):
            return self.encoder.relevance(windows, self.query)
        cosines = self.encoder.images(windows) @ self.query
        return cosines, cosines[:, None, None]


def calibrated_queries(
    indexes: Sequence[Index], encoder: Encoder, query: Query
) -> dict[str, CalibratedQuery]:
    """Index folder -> the wanted part of a query, calibrated on that index; what is denied points nowhere."""
    backgrounds = [background(index.vectors) for index in indexes]
    wanted = wanted_vector(list(indexes), encoder, query, backgrounds)
    marked = query.has_examples() or not query.text.strip()
    model, found = calibration(encoder), {}
    for index, tiles in zip(indexes, backgrounds, strict=True):
        gained = None if marked else gain(model, tiles, vocabulary_vectors(encoder))
        found[str(index.folder)] = CalibratedQuery(
            encoder, wanted, lines(model, wanted[None], tiles, gained)[0]
        )
    return found


def pixels(raster: Raster, index: Index, window: Window, encoder_size: int) -> U8:
    """(side, side, 3) RGB of a tile, as many of its pixels as the finest windows can use. Raises RasterError."""
    side = min(max(window.width, window.height), PARTS[-1] * encoder_size)
    side = max(side // CELLS, 1) * CELLS
    return np.asarray(raster.read_tiles([window], side, index.meta.stretch)[0])


def _starts(part: int) -> Iterator[tuple[int, int]]:
    """Upper left cells of the windows of one scale, half overlapping."""
    side = CELLS // part
    for y in range(0, CELLS - side + 1, side // 2):
        for x in range(0, CELLS - side + 1, side // 2):
            yield x, y


def _cut(tile: U8, part: int, x: int, y: int) -> U8:
    """The window of a tile that begins at cell (x, y) and has 1/part of its side."""
    side = tile.shape[0]
    left, top, size = x * side // CELLS, y * side // CELLS, side // part
    return tile[top : top + size, left : left + size]


def _merged(part: int, starts: Sequence[tuple[int, int]], shares: F32) -> F32:
    """Maps (n, g, g) of the windows of one scale -> (CELLS, CELLS), their mean where they overlap."""
    side, grid = CELLS // part, shares.shape[1]
    total, count = np.zeros((CELLS, CELLS)), np.zeros((CELLS, CELLS))
    for (x, y), cells in zip(starts, shares, strict=True):
        total[y : y + side, x : x + side] += np.kron(cells, np.ones((side // grid, side // grid)))
        count[y : y + side, x : x + side] += 1
    return np.asarray(total / count, dtype=np.float32)


def _smooth(cells: F32, reach: int) -> F32:
    """(CELLS, CELLS) mean over (2 reach + 1) x (2 reach + 1) cells, edges repeated."""
    size = 2 * reach + 1
    padded = np.pad(cells, reach, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, (size, size)).mean((2, 3)))


def _pointer(relevance: F32, score: float) -> Pointer:
    rows, cols = _around_peak(relevance, BOX_LEVEL)
    left, top, right, bottom = cols.min(), rows.min(), cols.max() + 1, rows.max() + 1
    box = (float(left) / CELLS, float(top) / CELLS, float(right) / CELLS, float(bottom) / CELLS)
    rows, cols = _around_peak(relevance, POINT_LEVEL)
    x, y = (float(cols.mean()) + 0.5) / CELLS, (float(rows.mean()) + 0.5) / CELLS
    low, high = relevance.min(), relevance.max()
    return Pointer(x, y, box, score, (relevance - low) / max(float(high - low), 1e-9))


def _around_peak(relevance: F32, level: float) -> tuple[I64, I64]:
    """Rows and columns of the cells around the highest, side by side, that rise to `level` of the way from the
    mean to it."""
    mean, high = float(relevance.mean()), float(relevance.max())
    mask = relevance >= mean + level * (high - mean)
    found = np.zeros_like(mask)
    found.ravel()[int(relevance.argmax())] = True
    while True:
        grown = found.copy()
        grown[1:] |= found[:-1]
        grown[:-1] |= found[1:]
        grown[:, 1:] |= found[:, :-1]
        grown[:, :-1] |= found[:, 1:]
        grown &= mask
        if (grown == found).all():
            rows, cols = np.nonzero(found)
            return rows, cols
        found = grown
