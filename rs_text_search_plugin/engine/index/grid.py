"""Where tiles lie: pure arithmetic on a regular lattice. x grows east in px, y grows south."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.contracts.arrays import I32, I64
from rs_text_search_plugin.contracts.errors import RasterError
from rs_text_search_plugin.contracts.fields import Range
from rs_text_search_plugin.contracts.messages import Window

Pixels = Annotated[int, Range(1, 2**31 - 1)]
"""A length in px, as GDAL can hold it."""
MAX_TILES = 10_000_000
"""Tiles of one lattice: their ids, windows and masks fit into memory, and they take an hour on a fast GPU."""

Transform = tuple[float, float, float, float, float, float]
"""Affine (a, b, c, d, e, f): X = a*x + b*y + c, Y = d*x + e*y + f, from px to map units."""
Corners = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Lattice:
    """Tiles of tile_w x tile_h px every step_x, step_y px over a raster of width x height px.

    cols = ceil((width - tile_w) / step_x) + 1, rows likewise. The last column and row are shifted inward,
    so that the whole raster is covered and no tile is padded.
    """

    width: Pixels
    height: Pixels
    tile_w: Pixels
    tile_h: Pixels
    step_x: Pixels
    step_y: Pixels

    @property
    def cols(self) -> int:
        """Tiles in a row."""
        return -((self.tile_w - self.width) // self.step_x) + 1

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -((self.tile_h - self.height) // self.step_y) + 1

    def __len__(self) -> int:
        return self.rows * self.cols


def lattice(width: int, height: int, tile_w: int, tile_h: int, overlap: float = 0.0) -> Lattice:
    """The lattice of a raster; `overlap` is the share of a tile its neighbour covers too, 0-0.9.

    Raises RasterError when a tile does not fit into the raster, the overlap is out of range or tiles are too many.
    """
    if not 0 <= overlap <= 0.9:
        raise RasterError(f"An overlap of {overlap:g} is out of range.", "Choose one between 0 and 0.9.")
    if tile_w < 1 or tile_h < 1 or tile_w > width or tile_h > height:
        raise RasterError(
            f"A tile of {tile_w} x {tile_h} px does not fit into a raster of {width} x {height} px.",
            f"Choose a tile size of at most {min(width, height)} px.",
        )
    step_x, step_y = (max(1, round(side * (1 - overlap))) for side in (tile_w, tile_h))
    grid = Lattice(width, height, tile_w, tile_h, step_x, step_y)
    if len(grid) > MAX_TILES:
        raise RasterError(
            f"This would make {len(grid):,} tiles; {MAX_TILES:,} are the most of one raster.",
            "Choose larger tiles or less overlap, or cut the raster into several.",
        )
    return grid


def tile_window(grid: Lattice, row: int, col: int) -> Window:
    """The px a tile covers."""
    x = min(col * grid.step_x, grid.width - grid.tile_w)
    y = min(row * grid.step_y, grid.height - grid.tile_h)
    return Window(x, y, grid.tile_w, grid.tile_h)


def window_corners(transform: Transform, window: Window) -> Corners:
    """4 corners in map units, clockwise from the upper left of the image; a true parallelogram."""
    a, b, c, d, e, f = transform
    right, below = window.x + window.width, window.y + window.height
    pixels = ((window.x, window.y), (right, window.y), (right, below), (window.x, below))
    return tuple((a * x + b * y + c, d * x + e * y + f) for x, y in pixels)


def tile_windows(grid: Lattice, ids: I64) -> I32:
    """(n,) tile ids -> (n, 4) x, y, width, height in px."""
    row, col = np.divmod(ids, grid.cols)
    x = np.minimum(col * grid.step_x, grid.width - grid.tile_w)
    y = np.minimum(row * grid.step_y, grid.height - grid.tile_h)
    side = np.broadcast_to([grid.tile_w, grid.tile_h], (len(ids), 2))
    return np.column_stack([x, y, side]).astype(np.int32)


def tile_corners(transform: Transform, windows: I32) -> npt.NDArray[np.float64]:
    """(n, 4) windows -> (n, 4, 2) corners in map units, ordered as in `window_corners`."""
    a, b, c, d, e, f = transform
    x, y, w, h = windows.astype(np.float64).T
    px, py = np.stack([x, x + w, x + w, x], axis=1), np.stack([y, y, y + h, y + h], axis=1)
    return np.stack([a * px + b * py + c, d * px + e * py + f], axis=2)
