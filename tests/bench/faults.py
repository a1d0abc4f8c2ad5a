"""What happens when files are damaged: every answer must be right, or the refusal clear.

    python -m tests.bench.faults [--seeds 1000] [--kind bits|rasters]

bits      one bit of a random file of an index (record, parts, caches) is turned, then it is searched
rasters   bytes in the first part of a GeoTIFF, VRT, PNG, JPEG or NetCDF are changed, then it is indexed

right     the same matches with the same scores as before; of a raster: a complete index whose parts are sound
refused   an error of ours with a message and a way out
wrong     anything else: another answer, an error that is no SearchError, a crash, more than 20 s or 2 GB more memory

Each case is named by its seed and can be repeated: `--first SEED --seeds 1`. A child process does the work, as a
library may crash; it is begun again after the case that ended it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree

import numpy as np
from rasterio.shutil import copy

from rs_text_search_plugin.contracts.errors import SearchError
from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.index.store import open_index
from rs_text_search_plugin.engine.index.verify import verify
from rs_text_search_plugin.engine.search.search import search
from tests.engine.fakes import ColourEncoder
from tests.engine.rasters import painted, write, write_tiled

CASE_S = 20
MORE_BYTES = 2_000_000_000
HEADER_BYTES = 700
FORMATS = {"png": "PNG", "jpg": "JPEG", "nc": "netCDF"}
TILE = IndexOptions(tile_px=32)
VRT = """<VRTDataset rasterXSize="128" rasterYSize="128"><GeoTransform>5, 0.5, 0, 9, 0, -0.5</GeoTransform>
<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename>
<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="128" ySize="128"/>
<DstRect xOff="0" yOff="0" xSize="128" ySize="128"/></SimpleSource></VRTRasterBand></VRTDataset>"""


@dataclass(frozen=True)
class Case:
    """What became of one seed: `what` was damaged, and the verdict: right, refused or wrong."""

    what: str
    verdict: str
    detail: str = ""


def judged(what: str, work: Callable[[], bool]) -> Case:
    """The verdict on some work that says whether its answer is right."""
    try:
        return Case(what, "right") if work() else Case(what, "wrong", "another answer")
    except SearchError as error:
        clear = error.message and error.hint
        return Case(what, "refused" if clear else "wrong", f"{error.message} | {error.hint}")
    except Exception as error:
        return Case(what, "wrong", f"{type(error).__name__}: {error}")


# ---- one bit of an index ----


@cache
def sound_index(folder: Path) -> tuple[Path, list[tuple[int, float]]]:
    """An index with its caches, and what a search in it finds."""
    raster = write(folder / "scene.tif", painted(512, 512))
    made = index(str(raster), ColourEncoder(size=32), TILE).index
    return made, found_in(made)


def found_in(folder: Path) -> list[tuple[int, float]]:
    """Ids and scores of the best matches."""
    found = search([open_index(folder)], ColourEncoder(size=32), Query(text="red"))
    return [(match.id, match.score) for match in found.matches]


def turn_bit(seed: int, folder: Path) -> Case:
    """Turn one bit of one file of a copied index, then search."""
    made, expected = sound_index(folder)
    rng, damaged = np.random.default_rng(seed), folder / "damaged.rsidx"
    rmtree(damaged, ignore_errors=True)
    caches = ("vectors-*", "ids-*") if seed % 2 else ()
    copytree(made, damaged, ignore=ignore_patterns(*caches))  # with dates, as caches are tied to them
    files = sorted(file for file in damaged.iterdir() if file.stat().st_size)
    file = files[rng.integers(len(files))]
    data = bytearray(file.read_bytes())
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    before = file.stat()
    file.write_bytes(bytes(data))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # a disk that loses a bit does not tell
    return judged(file.name.split("-")[0].split(".")[0], lambda: found_in(damaged) == expected)


# ---- headers of rasters ----


@cache
def sound_rasters(folder: Path) -> list[Path]:
    """One small raster of each format."""
    pixels = painted(128, 128)
    made = [write(folder / "a.tif", pixels), write_tiled(folder / "tiled.tif", pixels)]
    grey = write(folder / "grey.tif", pixels[:1])  # of several bands NetCDF makes several rasters
    (folder / "a.vrt").write_text(VRT)
    for ending, driver in FORMATS.items():
        copy(grey if ending == "nc" else made[0], folder / f"a.{ending}", driver=driver)
    return [*made, folder / "a.vrt", *(folder / f"a.{ending}" for ending in FORMATS)]


def change_header(seed: int, folder: Path) -> Case:
    """Change one to four bytes of a raster's first bytes, then index it."""
    rng, originals = np.random.default_rng(seed), sound_rasters(folder)
    original = originals[rng.integers(len(originals))]
    data = bytearray(original.read_bytes())
    for place in rng.integers(min(len(data), HEADER_BYTES), size=rng.integers(1, 5)).tolist():
        data[place] = int(rng.choice([0, 1, 127, 128, 255, data[place] ^ (1 << int(rng.integers(8)))]))
    file = original.with_name(f"changed{original.suffix}")
    for old in folder.glob("changed.*"):
        rmtree(old) if old.is_dir() else old.unlink()
    file.write_bytes(bytes(data))
    return judged(
        original.suffix[1:], lambda: verify(index(str(file), ColourEncoder(size=32), TILE).index).ok
    )


KINDS: dict[str, Callable[[int, Path], Case]] = {"bits": turn_bit, "rasters": change_header}


def work(kind: str, first: int, seeds: int) -> None:
    """In the child: a line for each seed."""
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    with tempfile.TemporaryDirectory() as name, answers:
        limited = False
        for seed in range(first, first + seeds):
            signal.alarm(CASE_S)  # ends the process even inside a library
            case = KINDS[kind](seed, Path(name))
            detail = " ".join(case.detail.split())[:300]
            print(seed, case.what, case.verdict, detail, sep="\t", file=answers, flush=True)
            limited = limited or _limit_memory()


def _limit_memory() -> bool:
    import resource  # noqa: PLC0415 - not on Windows

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MORE_BYTES,) * 2)
    return True


def cases(kind: str, first: int, seeds: int) -> Iterator[tuple[int, Case]]:
    """All cases of a kind; one that ends the child is wrong."""
    end = first + seeds
    while first < end:
        command = [sys.executable, "-m", "tests.bench.faults", "--work", "--kind", kind]
        command += ["--first", str(first), "--seeds", str(end - first)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
        )
        for line in done.stdout.splitlines():
            seed, what, verdict, detail = line.split("\t")
            yield int(seed), Case(what, verdict, detail)
            first = int(seed) + 1
        if first < end:
            yield first, Case("process", "wrong", f"it ended with {done.returncode}")
            first += 1


def report(kinds: list[str], first: int, seeds: int) -> int:
    """Print the table and every wrong case; gives the number of those."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for kind in kinds:
        for seed, case in cases(kind, first, seeds):
            counts[kind, case.what, case.verdict] += 1
            if case.verdict == "wrong":
                print(f"wrong: --kind {kind} --first {seed} --seeds 1: {case.what}: {case.detail}")
    print("| damage | in | tried | right | refused | wrong |\n|---|---|---|---|---|---|")
    for kind, what in sorted({key[:2] for key in counts}):
        right, refused, wrong = (counts[kind, what, verdict] for verdict in ("right", "refused", "wrong"))
        print(f"| {kind} | {what} | {right + refused + wrong} | {right} | {refused} | {wrong} |")
    return sum(count for key, count in counts.items() if key[2] == "wrong")


def main() -> None:
    """Command line; exit code 1 when anything is wrong."""
    parser = argparse.ArgumentParser(prog="faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kind", choices=KINDS, help="default: all")
    parser.add_argument("--seeds", type=int, default=1000, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.kind, args.first, args.seeds)
    else:
        sys.exit(min(1, report([args.kind] if args.kind else list(KINDS), args.first, args.seeds)))


if __name__ == "__main__":
    main()
