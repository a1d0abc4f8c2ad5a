"""Does the encoder ever wait? The rate of indexing a raster against the bare encoder on tiles in memory.

    python -m tests.bench.indexing [--model compact] [--device auto] [--tiles 192] [--rounds 3]

Both take the same tiles in the same batches, in turns, so that whatever else the machine does hits both.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from rs_text_search_plugin.models import devices, registry

from rs_text_search_plugin.contracts.arrays import U8
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.index.grid import lattice, tile_window
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.raster.reader import open_raster

from .photo import write_photo

COLUMNS = 16


class Watched:
    """An encoder that notes how long it was at work and how large its batches were."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.name, self.fingerprint = encoder.name, encoder.fingerprint
        self.dim, self.size = encoder.dim, encoder.size
        self.device, self.batch = encoder.device, encoder.batch
        self.seconds = 0.0
        self.batches: list[int] = []

    def images(self, tiles: U8) -> np.ndarray:
        start = time.perf_counter()
        vectors = self.encoder.images(tiles)
        self.seconds += time.perf_counter() - start
        self.batches.append(len(tiles))
        return vectors

    def texts(self, texts: list[str]) -> np.ndarray:
        return self.encoder.texts(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="compact")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--tiles", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    encoder = registry.load(args.model, args.device)
    encoder.images(np.zeros((8, encoder.size, encoder.size, 3), dtype=np.uint8))  # warm up
    rows = max(1, args.tiles // COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        path = write_photo(Path(folder) / "photo.tif", COLUMNS * encoder.size, rows * encoder.size)
        rounds = [measure(path, encoder, encoder.size) for _ in range(args.rounds)]
    bare, whole, busy = (median(column) for column in zip(*rounds, strict=True))
    print(
        f"{rows * COLUMNS} tiles of {encoder.size} px, {args.model} on {devices.choose_device(args.device).label}"
    )
    print(f"bare encoder {bare:.1f} tiles/s, index {whole:.1f} tiles/s, ratio {whole / bare:.2f}")
    print(f"while indexing the encoder was at work {100 * busy:.0f} % of the time")


def measure(path: Path, encoder: Encoder, side: int) -> tuple[float, float, float]:
    """Tiles of `side` px per second, bare and indexed, and the encoder's share of the indexing time."""
    watched = Watched(encoder)
    start = time.perf_counter()
    report = index(str(path), watched, IndexOptions(tile_px=side, mode="restart"))
    seconds = time.perf_counter() - start
    with open_raster(path) as raster:
        grid, stretch = lattice(raster.width, raster.height, side, side), raster.stretch()
        tiles = np.stack(
            [raster.rgb(tile_window(grid, *divmod(i, grid.cols)), stretch)[0] for i in range(len(grid))]
        )
    ends = np.cumsum(watched.batches)
    start = time.perf_counter()
    for batch in np.split(tiles, ends[:-1]):
        encoder.images(batch)
    bare = time.perf_counter() - start
    return len(grid) / bare, report.tiles / seconds, watched.seconds / seconds


if __name__ == "__main__":
    main()
