"""Does memory grow with the raster? Peak resident memory of indexing two sizes, each in its own process.

    python -m tests.bench.memory [--side 4096] [--times 9]

The encoder is a stand-in that costs nothing, so that reading, tiling and storing are what is seen. Linux only.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from tests.engine.fakes import ColourEncoder

from .photo import write_photo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--side", type=int, default=4096, help="width of both rasters and height of the smaller, px"
    )
    parser.add_argument("--times", type=int, default=9, help="how many times as high the larger is")
    parser.add_argument("--index", metavar="RASTER", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.index:
        print(peak_of_indexing(args.index))
        return
    activation_ranges = []
    with tempfile.TemporaryDirectory() as folder:
        for height in (args.side, args.side * args.times):
            path = write_photo(Path(folder) / f"{height}.tif", args.side, height)
            command = [sys.executable, "-m", "tests.bench.memory", "--index", str(path)]
            activation_ranges.append(
                int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            )
            print(f"{args.side} x {height} px: {activation_ranges[-1] / 1e6:.0f} MB at most", flush=True)
    print(f"ratio {activation_ranges[1] / activation_ranges[0]:.2f}")


def peak_of_indexing(raster: str) -> int:
    """Most bytes this process ever held."""
    index(raster, ColourEncoder(size=224), IndexOptions(tile_px=224, overlap=0.5))
    status = Path("/proc/self/status").read_text("utf-8")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


if __name__ == "__main__":
    main()
