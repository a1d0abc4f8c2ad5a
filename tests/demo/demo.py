"""The main job from end to end, on the demo scene or on a raster of one's own. `make demo` runs it.

python -m tests.demo.demo [--raster FILE] [--text PHRASE] [--scene-only]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.demo.scene import make_scene
from tests.demo.truth import hits, truth

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "demo"
COMMAND = Path(sys.executable).parent / "rs-text-search"
PHRASES = ["storage tanks", "boats in a harbour", "cars in a parking lot"]
DRAWN_BY = [Path(__file__).parent / f"{name}.py" for name in ("paint", "things", "themes", "sites", "scene")]
SHOWN = 12
"""Matches of a phrase that the map shows."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--raster", type=Path, help="your own raster instead of the synthetic scene")
    parser.add_argument("--text", help="your own phrase instead of three of ours")
    parser.add_argument("--scene-only", action="store_true", help="draw the scene and stop")
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    raster = args.raster.resolve() if args.raster else scene()
    if not args.scene_only:
        show(
            raster, [args.text] if args.text else PHRASES, OUT / "truth.gpkg" if args.raster is None else None
        )


def scene() -> Path:
    """The demo scene, drawn when it is not there yet or older than the code that draws it."""
    drawn = OUT / "truth.gpkg"
    if not drawn.exists() or drawn.stat().st_mtime < max(p.stat().st_mtime for p in DRAWN_BY):
        print("Drawing a synthetic aerial scene, 4096 x 4096 px at 0.5 m ...")
        make_scene(OUT)
    return OUT / "scene.tif"


def show(raster: Path, phrases: list[str], truth_file: Path | None) -> None:
    """Index, search, describe, export, render, and a table of what came out."""
    print(f"Indexing {raster.name} ...")
    engine("index", raster)
    found = {phrase: search(raster, phrase, number) for number, phrase in enumerate(phrases, 1)}
    print_table(found, truth(truth_file) if truth_file else {})
    describe(raster, found[phrases[0]]["matches"][0])
    engine("search", raster, phrases[0], "--top", SHOWN, "--out", OUT / "matches.shp")
    picture = render(
        raster, phrases, "Synthetic scene, drawn by the project: not a photograph." if truth_file else ""
    )
    print(f"\nMatches: {OUT / 'matches.shp'} and matches-1.gpkg ...\nMap:     {picture}")


def engine(*words: object) -> dict[str, Any]:
    """Runs `rs-text-search` and returns its JSON; its progress and errors go to the terminal."""
    run = subprocess.run([COMMAND, *map(str, words), "--json"], stdout=subprocess.PIPE, check=False)
    if run.returncode:
        raise SystemExit(run.returncode)
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def search(raster: Path, phrase: str, number: int) -> dict[str, Any]:
    """The best matches, which also go into a GeoPackage for the map."""
    return engine("search", raster, phrase, "--top", SHOWN, "--out", OUT / f"matches-{number}.gpkg")


def print_table(found: dict[str, dict[str, Any]], right: dict[str, Any]) -> None:
    """Phrase, best score, how many of the best five are right where that is known, time."""
    width = max(map(len, found)) + 2
    print(f"\n  {'phrase':{width}} {'best score':>10} {'right of top 5':>15} {'ms':>6}")
    for phrase, result in found.items():
        matches = result["matches"]
        rightly = f"{hits(matches, right[phrase])}" if phrase in right else "-"
        print(
            f"  {phrase:{width}} {matches[0]['score']:>10.0f} {rightly:>15} {1000 * result['seconds']:>6.0f}"
        )
        print(f"  {'':{width}} {result['verdict']}")


def describe(raster: Path, match: dict[str, Any]) -> None:
    """Reads what stands in a tile."""
    xs, ys = zip(*match["corners"], strict=True)
    x, y = sum(xs) / 4, sum(ys) / 4
    told = engine("describe", raster, "--at", f"{x},{y}")
    print(f"\nWhat is at {x:.0f}, {y:.0f}? {told['sentence']}")


def render(raster: Path, phrases: list[str], note: str) -> Path:
    """The map, drawn by QGIS in its own Python."""
    picture, spec = OUT / "map.png", OUT / "map.json"
    matches = [{"phrase": p, "path": str(OUT / f"matches-{n}.gpkg")} for n, p in enumerate(phrases, 1)]
    words = {
        "title": "RS Text Search",
        "note": note,
        "raster": str(raster),
        "out": str(picture),
        "matches": matches,
    }
    spec.write_text(json.dumps(words), encoding="utf-8")
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    command = ["/usr/bin/python3", "-m", "tests.demo.render_map", str(spec)]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"QGIS could not draw the map:\n{run.stderr}")
    return picture


if __name__ == "__main__":
    main()
