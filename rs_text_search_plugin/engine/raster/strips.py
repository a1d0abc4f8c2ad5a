"""Full-width strips of a raster, read once and sliced into tiles: twice to twenty times as fast as tile by tile.

Rows that neighbouring tile rows share are carried over, so overlap adds no reads; reads end at block borders.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from rs_text_search_plugin.contracts.arrays import I64, U8, Bool
from rs_text_search_plugin.contracts.errors import RasterError
from rs_text_search_plugin.contracts.messages import Window
from rs_text_search_plugin.contracts.operations.indexing import Unreadable
from rs_text_search_plugin.engine.index.grid import Lattice, tile_window
from rs_text_search_plugin.engine.index.parts import Part

from .reader import Raster
from .sampling import Stretch

MIN_VALID = 0.5
"""A tile with a smaller share of valid pixels says more about its gaps than about the ground."""


@dataclass
class Skipped:
    """Tiles of a part that were not embedded."""

    empty: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


@dataclass
class RowBlock:
    """Rows `top`..`bottom` of a panel from column `left` on, full-resolution px; its pixels are decimated.

    `rgb` (h, w, 3), `valid` and `broken` (h, w).
    """

    top: int
    bottom: int
    left: int
    rgb: U8
    valid: Bool
    broken: Bool


class Strips:
    """Hands out the tiles of a part, row by row of the lattice."""

    def __init__(self, raster: Raster, grid: Lattice, stretch: Stretch, factor: int) -> None:
        self.raster = raster
        self.grid = grid
        self.stretch = stretch
        self.factor = factor
        self.reason = ""
        """What GDAL said of the last block it could not read."""
        self.rows: RowBlock | None = None
        block_h = int(raster.dataset.block_shapes[raster.bands[0] - 1][0])
        self.block_height = max(block_h, factor) // factor * factor

    def tiles(self, part: Part, skipped: Skipped, wanted: Bool) -> Iterator[tuple[int, U8]]:
        """(tile, (h, w, 3) RGB) of every wanted tile with data, by its number in this lattice; the others are
        counted in `skipped`.

        `wanted` (tiles,) says which tiles of the lattice are asked for at all.
        """
        grid = self.grid
        x = tile_window(grid, part.row, part.col).x // self.factor * self.factor
        last = tile_window(grid, part.row, part.col_end - 1)
        width = last.x + last.width - x
        if self.factor > 1 or (self.rows is not None and self.rows.left != x):
            self.rows = None  # decimated pixels depend on where a read began: a part begins afresh
        for row in range(part.row, part.row_end):
            window = tile_window(grid, row, part.col)
            span = Window(x, window.y, width, window.height)
            ids = np.arange(part.col, part.col_end) + row * grid.cols
            if not wanted[ids].any():
                continue
            if not self.raster.holds_blocks(span):
                skipped.empty += int(wanted[ids].sum())
                continue
            self.rows = self._advance(self.rows, span)
            yield from self._slice(self.rows, ids[wanted[ids]], skipped)

    def _slice(self, rows: RowBlock, ids: I64, skipped: Skipped) -> Iterator[tuple[int, U8]]:
        for tile in ids.tolist():
            window = tile_window(self.grid, *divmod(tile, self.grid.cols))
            top, left = (window.y - rows.top) // self.factor, (window.x - rows.left) // self.factor
            down, across = window.height // self.factor, window.width // self.factor
            cut = np.s_[top : top + down, left : left + across]
            if not self.raster.holds_blocks(window):
                skipped.empty += 1
            elif rows.broken[cut].any():
                skipped.unreadable.append(Unreadable(window, self.reason))
            elif rows.valid[cut].mean() < MIN_VALID:
                skipped.empty += 1
            else:
                yield tile, rows.rgb[cut]

    def _advance(self, rows: RowBlock | None, span: Window) -> RowBlock:
        """The rows that hold `span`, with the rows at hand carried over."""
        top = span.y // self.factor * self.factor
        bottom = span.y + span.height
        if rows is not None and rows.top <= top < rows.bottom:
            if bottom <= rows.bottom:
                return rows
            kept = (top - rows.top) // self.factor
            fresh = self._read(span, rows.bottom, bottom)
            return RowBlock(
                top,
                fresh.bottom,
                fresh.left,
                np.concatenate([rows.rgb[kept:], fresh.rgb]),
                np.concatenate([rows.valid[kept:], fresh.valid]),
                np.concatenate([rows.broken[kept:], fresh.broken]),
            )
        return self._read(span, top, bottom)

    def _read(self, span: Window, top: int, bottom: int) -> RowBlock:
        """Rows from `top` to the block border at or after `bottom`."""
        border = -(-bottom // self.block_height) * self.block_height
        near = -(-bottom // self.factor) * self.factor  # decimated rows are whole, or later ones would shift
        end = min(self.raster.height, border if border - bottom < span.height else near)
        window = Window(span.x, top, span.width, end - top)
        try:
            rgb, valid = self.raster.rgb(window, self.stretch, self._shape(window))
        except RasterError as error:
            self.reason = error.message
            return self._salvage(window)
        return RowBlock(top, end, window.x, rgb, valid, np.zeros_like(valid))

    def _shape(self, window: Window) -> tuple[int, int]:
        return -(-window.height // self.factor), -(-window.width // self.factor)

    def _salvage(self, window: Window) -> RowBlock:
        """Rows with blocks that cannot be read: block by block, what fails is marked broken."""
        shape = self._shape(window)
        rgb = np.zeros((*shape, 3), dtype=np.uint8)
        valid, broken = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        for piece in self._pieces(window):
            top, left = (piece.y - window.y) // self.factor, (piece.x - window.x) // self.factor
            down, across = self._shape(piece)
            cut = np.s_[top : top + down, left : left + across]
            try:
                rgb[cut], valid[cut] = self.raster.rgb(piece, self.stretch, (down, across))
            except RasterError as error:
                self.reason = error.message
                broken[cut] = True
        return RowBlock(window.y, window.y + window.height, window.x, rgb, valid, broken)

    def _pieces(self, window: Window) -> Iterator[Window]:
        """A window cut where the raster's blocks (or whole numbers of decimated pixels) begin."""
        block_h, block_w = self.raster.dataset.block_shapes[self.raster.bands[0] - 1]
        for y, height in _cuts(window.y, window.y + window.height, _multiple(block_h, self.factor)):
            for x, width in _cuts(window.x, window.x + window.width, _multiple(block_w, self.factor)):
                yield Window(x, y, width, height)


def _multiple(block: int, factor: int) -> int:
    """The least multiple of both."""
    return block * factor // math.gcd(block, factor)


def _cuts(start: int, end: int, step: int) -> Iterator[tuple[int, int]]:
    """(start, length) of the pieces of a stretch, cut at multiples of `step`."""
    while start < end:
        border = min(end, (start // step + 1) * step)
        yield start, border - start
        start = border
