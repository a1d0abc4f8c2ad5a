"""How fast tiles come off the disk: strips, as the index reads them, against one window after the other.

    python -m tests.bench.reading [--side 6144] [--tile 224]

The page cache is warm for both. The ratio is what counts; the rates are this machine's.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from rs_text_search_plugin.engine.index.grid import Lattice, lattice, tile_window
from rs_text_search_plugin.engine.index.levels import Levels
from rs_text_search_plugin.engine.index.parts import parts_of
from rs_text_search_plugin.engine.raster.reader import Raster, open_raster
from rs_text_search_plugin.engine.raster.strips import Skipped, Strips

from .photo import LAYOUTS, write_photo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=6144, help="of the raster, px")
    parser.add_argument("--tile", type=int, default=224, help="px")
    args = parser.parse_args()
    print(f"{'layout':20} {'overlap':>7} {'tiles':>6} {'windows/s':>10} {'strips/s':>10} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for layout in LAYOUTS:
            path = write_photo(Path(folder) / "photo.tif", args.side, args.side, layout)
            for overlap in (0.0, 0.5):
                measure(path, layout, lattice(args.side, args.side, args.tile, args.tile, overlap), overlap)


def measure(path: Path, layout: str, grid: Lattice, overlap: float) -> None:
    """Prints one row; single windows are timed on at most 300 tiles, row after row as they lie."""
    with open_raster(path) as raster:
        by_window = windows_per_s(raster, grid, min(len(grid), 300))
    with open_raster(path) as raster:
        by_strip = strips_per_s(raster, grid)
    ratio = by_strip / by_window
    print(
        f"{layout:20} {overlap:7.1f} {len(grid):6} {by_window:10.0f} {by_strip:10.0f} {ratio:6.1f}",
        flush=True,
    )


def windows_per_s(raster: Raster, grid: Lattice, tiles: int) -> float:
    """Tiles per second, read one by one."""
    stretch, start = raster.stretch(), time.perf_counter()
    for tile in range(tiles):
        raster.rgb(tile_window(grid, *divmod(tile, grid.cols)), stretch)
    return tiles / (time.perf_counter() - start)


def strips_per_s(raster: Raster, grid: Lattice) -> float:
    """Tiles per second, sliced from strips and copied, as the index does."""
    stretch, start = raster.stretch(), time.perf_counter()
    strips, everything, count = Strips(raster, grid, stretch, 1), np.ones(len(grid), dtype=bool), 0
    for part in parts_of(Levels(grid)):
        for _, pixels in strips.tiles(part, Skipped(), everything):
            pixels.copy()
            count += 1
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
