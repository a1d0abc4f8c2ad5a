"""Levels of an index: tiles of one, two, four ... times the side, all over the same raster.

Level 0 is the finest. The tiles of all levels are numbered in one row, level after level, each row by row, so that an
id names its level too, and an index of one level has the ids it always had.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rs_text_search_plugin.contracts.arrays import I32, I64
from rs_text_search_plugin.contracts.errors import RasterError

from .grid import Lattice, tile_windows

MOST_LEVELS = 6
UNDERSTOOD_M = (30.0, 400.0)
"""Ground side of a tile that a model understands unless its registry entry says otherwise."""


@dataclass(frozen=True)
class Levels:
    """`count` lattices over one raster, each with tiles and steps twice as large as the one before."""

    finest: Lattice
    count: int = 1

    @cached_property
    def lattices(self) -> tuple[Lattice, ...]:
        """The lattice of every level, finest first."""
        return tuple(coarser(self.finest, 2**level) for level in range(self.count))

    @cached_property
    def starts(self) -> I64:
        """(count + 1,) the first id of each level, and one past the last."""
        return np.cumsum([0, *map(len, self.lattices)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def of(self, ids: I64) -> I64:
        """(n,) ids -> (n,) their levels."""
        return np.searchsorted(self.starts, ids, side="right") - 1

    def windows(self, ids: I64) -> I32:
        """(n,) ids -> (n, 4) x, y, width, height in px."""
        ids = np.asarray(ids, dtype=np.int64)
        level, found = self.of(ids), np.zeros((len(ids), 4), np.int32)
        for number, lattice in enumerate(self.lattices):
            here = level == number
            found[here] = tile_windows(lattice, ids[here] - self.starts[number])
        return found

    def rows_and_columns(self, ids: I64) -> tuple[I64, I64]:
        """(n,) ids -> (n,) row and (n,) column, each within the tile's own level."""
        ids = np.asarray(ids, dtype=np.int64)
        level = self.of(ids)
        return np.divmod(
            ids - self.starts[level], np.array([lattice.cols for lattice in self.lattices])[level]
        )


def coarser(lattice: Lattice, times: int) -> Lattice:
    """The lattice with tiles and steps so many times as large."""
    tile_w, tile_h, step_x, step_y = (
        times * side for side in (lattice.tile_w, lattice.tile_h, lattice.step_x, lattice.step_y)
    )
    return Lattice(lattice.width, lattice.height, tile_w, tile_h, step_x, step_y)


def level_count(
    finest: Lattice, asked: int | None, tile_m: float | None, understood_m: tuple[float, float] = UNDERSTOOD_M
) -> int:
    """How many levels an index gets: those asked for, else as many as a model understands.

    `tile_m` is the ground side of the finest tile in metres, None without a CRS (then one level). Raises RasterError
    when more levels are asked for than fit into the raster.
    """
    fitting = 1
    while fitting < MOST_LEVELS and _fits(coarser(finest, 2**fitting)):
        fitting += 1
    if asked is not None:
        if not 1 <= asked <= fitting:
            raise RasterError(
                f"{asked} levels do not fit into this raster.", f"Choose 1 to {fitting} levels, or auto."
            )
        return asked
    if tile_m is None:
        return 1
    understood = 1 + max(0, int(np.log2(understood_m[1] / tile_m) + 1e-9)) if tile_m < understood_m[1] else 1
    return min(fitting, understood)


def _fits(lattice: Lattice) -> bool:
    return lattice.tile_w <= lattice.width and lattice.tile_h <= lattice.height
