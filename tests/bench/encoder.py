"""How fast the image tower is, for every way to run its backbone that this machine has, and how well they agree.

    python -m tests.bench.encoder [--model compact] [--tile-px 224] [--tiles 64] [--rounds 7]

Tiles of --tile-px, resizing and what comes after the backbone included. All ways take turns, so that whatever
else the machine does hits them alike: trust the ratios. Then the whole index run of a raster of such tiles, in
turns with the encoder alone, and what it takes to load the model and to encode a text in a fresh process."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rs_text_search_plugin.models import checkpoint, registry
from rs_text_search_plugin.models.inference import encoder, runtime
from rs_text_search_plugin.models.inference.runtime import RuntimeChoice

from rs_text_search_plugin.contracts.arrays import F32, U8

from .indexing import COLUMNS, measure
from .photo import write_photo

CPU = torch.device("cpu")
WAYS = [
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("OpenVINO", "fp32"),
    ("OpenVINO", "bf16"),
    ("OpenVINO", "int8"),
]
FRESH = """
import time
start = time.perf_counter()
from rs_text_search_plugin.models import registry
encoder = registry.load({model!r}, "cpu")
loaded = time.perf_counter()
encoder.texts(["storage tanks"])
text = time.perf_counter()
import numpy
encoder.images(numpy.zeros((1, 224, 224, 3), numpy.uint8))
seen = time.perf_counter()
queries = ["white storage tanks near the sea", "a bridge", "many planes at an airport", "dense houses with red roofs"]
several = [encoder.texts([query]) for query in queries * 5]
done = time.perf_counter()
print(loaded - start, text - loaded, seen - text, (done - seen) / len(several))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="compact")
    parser.add_argument("--tile-px", type=int, default=224)
    parser.add_argument("--tiles", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    tiles = photo_tiles(args.tiles, args.tile_px)
    ways(args.model, tiles, args.rounds)
    whole(args.model, args.tile_px, args.rounds)
    fresh(args.model, args.rounds)


def photo_tiles(count: int, side: int) -> U8:
    """Patches and noise, like the raster of photo.py: (count, side, side, 3)."""
    draw = np.random.default_rng(0)
    coarse = draw.integers(0, 240, (count, side // 16 + 1, side // 16 + 1, 3), dtype=np.uint8)
    patches = coarse.repeat(16, 1).repeat(16, 2)[:, :side, :side]
    return patches + draw.integers(0, 16, (count, side, side, 1), dtype=np.uint8)


def ways(model: str, tiles: U8, rounds: int) -> None:
    """Tiles/s of every way, their ratio to torch in fp32, and the cosine of their vectors to its."""
    encoders = {
        f"{name} {kind}": with_runtime(model, RuntimeChoice(name, kind, "")) for name, kind in possible(model)
    }
    vectors = {name: one.images(tiles) for name, one in encoders.items()}  # warms up, too
    seconds: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(rounds):
        for name, one in encoders.items():
            start = time.perf_counter()
            one.images(tiles)
            seconds[name].append(time.perf_counter() - start)
    first = next(iter(encoders))
    print(f"{len(tiles)} tiles of {tiles.shape[1]} px, {model}, {torch.get_num_threads()} threads")
    print(f"{'':16}{'tiles/s':>9}{'ratio':>8}{'cosine mean':>13}{'least':>9}")
    for name, times in seconds.items():
        rate = len(tiles) / median(times)
        ratio = median(a / b for a, b in zip(seconds[first], times, strict=True))
        cosine = agreement(vectors[name], vectors[first])
        print(f"{name:16}{rate:9.1f}{ratio:8.2f}{cosine.mean():13.5f}{cosine.min():9.5f}")


def possible(model: str) -> list[tuple[str, str]]:
    """The ways to run the backbone that this machine and this model have."""
    measured = bool(checkpoint.load(registry.weights_of(model)).backbone.activation_ranges.all())
    lacking = {"OpenVINO"} if runtime.why_no_openvino() else set()
    lacking |= set() if runtime.has_bf16(CPU) else {"bf16"}
    lacking |= set() if runtime.has_int8() and measured else {"int8"}
    return [way for way in WAYS if not lacking & set(way)]


def with_runtime(model: str, choice: RuntimeChoice | None = None, side: int = 0) -> encoder.TorchEncoder:
    """A model in one of its ways to compute, on tiles resized to `side` px instead of its own size."""
    system = checkpoint.load(registry.weights_of(model))
    entry = {"name": model, "size_px": side or registry.entries()[model]["size_px"]}
    towers = encoder.SystemTowers(system, CPU, choice)
    return encoder.TorchEncoder(entry, towers, "", dim=system.dim, device="cpu")


def agreement(found: F32, wanted: F32) -> F32:
    """Cosine (n,) of unit vectors (n, dim), row by row."""
    return np.asarray((found * wanted).sum(1))


def whole(model: str, side: int, rounds: int) -> None:
    """The index run against the encoder alone."""
    one = registry.load(model, "cpu")
    with tempfile.TemporaryDirectory() as folder:
        path = write_photo(Path(folder) / "photo.tif", COLUMNS * side, 12 * side)
        measure(path, one, side)  # warm up
        found = [measure(path, one, side) for _ in range(rounds)]
    bare, run, busy = (median(column) for column in zip(*found, strict=True))
    print(f"index run of {12 * COLUMNS} tiles of {side} px: {run:.1f} tiles/s, the encoder alone {bare:.1f},")
    print(f"ratio {run / bare:.2f}; the encoder was at work {100 * busy:.0f} % of the time; {one.about}")  # type: ignore[attr-defined]


def fresh(model: str, rounds: int) -> None:
    """Loading and first use in a process of its own, and a text once it is warm."""
    command = [sys.executable, "-c", FRESH.format(model=model)]
    said = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(rounds)]
    load, text, image, warm = np.median([[float(word) for word in line.split()] for line in said], axis=0)
    print(f"fresh process: imports and model {load:.2f} s, first text {1e3 * text:.0f} ms,", end=" ")
    print(f"first tile {1e3 * image:.0f} ms; a text once warm {1e3 * warm:.1f} ms")


if __name__ == "__main__":
    main()
