"""The JSON of each command as text for people: short, aligned, the main thing first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rs_text_search_plugin.engine.service.reporting import Json

from . import doctor

ROWS = 20
"""Matches shown; `--json` and `--out` give all."""


def table(rows: Iterable[Sequence[Any]], head: Sequence[str]) -> Iterator[str]:
    """Columns as wide as their widest cell; numbers to the right."""
    body = [list(row) for row in rows]
    texts = [list(head), *([_cell(cell) for cell in row] for row in body)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    right = [bool(body) and all(isinstance(row[i], (int, float)) for row in body) for i in range(len(head))]
    for row in texts:
        cells = (f"{c:>{w}}" if r else f"{c:<{w}}" for c, w, r in zip(row, widths, right, strict=True))
        yield "  ".join(cells).rstrip()


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) < 1e4 else f"{value:.0f}"
    return f"{value:,}" if isinstance(value, int) else "-" if value is None else str(value)


def index(report: Json) -> Iterator[str]:
    """One block a raster."""
    for one in report.get("indexes", [report]):
        made = one["tiles"] - one["resumed"]
        speed = f" in {one['seconds']:.1f} s ({one['tiles_per_s']:.1f} tiles/s)" if made else ""
        yield f"{one['index']}: {one['tiles']:,} tiles{speed} on {one['device']}"
        if one["resumed"]:
            yield f"  {one['resumed']:,} of them were there already"
        if one["empty"]:
            yield f"  {one['empty']:,} places skipped: not enough valid pixels"
        for bad in one["unreadable"][:5]:
            yield f"  unreadable at {bad['window']}: {bad['reason']}"
        if len(one["unreadable"]) > 5:
            yield f"  {len(one['unreadable']) - 5:,} more tiles unreadable"
    for error in report.get("errors", []):
        yield f"{error['source']}: {error['message']} {error['hint']}"


def search(found: Json) -> Iterator[str]:
    """The verdict, then the best matches with their centres."""
    yield f"“{found['query']}”: {found['verdict']}"
    several = len(found["sources"]) > 1
    names = {source["index"]: Path(source["source"]).name for source in found["sources"]}
    rows = []
    for match in found["matches"][:ROWS]:
        x, y = (sum(axis) / 4 for axis in zip(*match["corners"], strict=True))
        place = f"{x:.6g}, {y:.6g}" if abs(x) <= 360 and abs(y) <= 360 else f"{x:.1f}, {y:.1f}"
        rows.append(
            [match["rank"], match["score"], match["id"], place, *([names[match["index"]]] if several else [])]
        )
    if rows:
        yield from table(rows, ["rank", "score", "tile", "centre", *(["raster"] if several else [])])
    if len(found["matches"]) > ROWS:
        yield f"{len(found['matches']) - ROWS:,} more with --json or --out FILE"
    for heat in found["heat"]:
        yield f"heat: {heat['path']}"
    if "export" in found:
        yield from export(found["export"])
    if "zoom" in found:
        yield from zoom(found["zoom"])


def zoom(found: Json) -> Iterator[str]:
    """Where inside its tile each of the best matches lies."""
    rows = [[p["id"], p["score"], f"{p['x']:.8g}, {p['y']:.8g}"] for p in found["points"]]
    yield from table(rows, ["tile", "score", "point"])
    yield from ([] if found["complete"] else ["The time ran out before all were done; see --zoom-seconds."])
    yield from (f"not read: {reason}" for reason in found["unread"])
    yield from (f"boxes: {path}" for path in found["files"][:1])


def change(found: Json) -> Iterator[str]:
    """The verdict, then the places."""
    yield f"“{found['query']}”: {found['verdict']}"
    rows = []
    for place in found["places"][:ROWS]:
        x, y = (sum(axis) / 4 for axis in zip(*place["corners"], strict=True))
        scores = f"{place['score_before']:.0f} -> {place['score_after']:.0f}"
        rows.append(
            [
                place["rank"],
                f"{place['change']:+.0f}",
                scores,
                f"{x:.8g}, {y:.8g}",
                "" if place["checked"] else "not checked",
            ]
        )
    if rows:
        yield from table(rows, ["rank", "change", "scores", "centre", ""])


def contents(found: Json) -> Iterator[str]:
    """One line an entry of the vocabulary."""
    rows = [
        [row["name"], row["places"], row["tiles"], hectares(row["area_m2"]), row["score"]]
        for row in found["rows"]
    ]
    yield from table(rows, ["what", "places", "tiles", "hectares", "best score"])
    yield from () if rows else ("Nothing of the vocabulary stands out.",)


def hectares(area_m2: float | None) -> str:
    """An area for reading; empty when it is not known."""
    return "" if area_m2 is None else f"{area_m2 / 10_000:,.1f}"


def describe(found: Json) -> Iterator[str]:
    """The sentence, then the tags."""
    yield found["sentence"]
    yield from table(([t["name"], t["group"], t["score"]] for t in found["tags"]), ["tag", "group", "score"])


def export(report: Json) -> Iterator[str]:
    """Where it went and what to mind."""
    yield f"{report['features']:,} features in {report['path']}"
    yield from (f"  note: {warning}" for warning in report["warnings"])


def info(report: Json) -> Iterator[str]:
    """One block an index."""
    for one in report["indexes"]:
        detail = f" ({one['detail']})" if one["detail"] else ""
        yield f"{one['index'] or one['source']}: {one['state']}{detail}"
        if one.get("tile_px"):
            skipped = f", {one['empty']:,} without enough valid pixels" if one["empty"] else ""
            yield f"  raster   {one['source']}"
            yield f"  model    {one['model']}"
            yield f"  tiles    {one['tiles']:,} of {one['tiles_planned']:,}{skipped}"
            yield f"  of size  {' x '.join(map(str, one['tile_px']))} px{levels(one)}, overlap {one['overlap']:g}"
            yield f"  on disk  {size(one['bytes'])}"


def verify(report: Json) -> Iterator[str]:
    """What is wrong and what to do about it."""
    word = "whole" if report["ok"] else "damaged or incomplete"
    yield f"{report['index']}: {word}; {report['parts']:,} parts, {report['tiles']:,} tiles"
    yield from (f"  {problem['message']}" for problem in report["problems"])
    if report["hint"]:
        yield f"  {report['hint']}"


def levels(index: Json) -> str:
    """ ", and 2 and 4 times as large", when there is more than one level."""
    larger = [str(2**level) for level in range(1, index.get("levels", 1))]
    return f", and {' and '.join(larger)} times as large" if larger else ""


def size(count: float) -> str:
    """Bytes for reading."""
    return f"{count / 1e6:,.0f} MB" if count >= 1e7 else f"{count / 1e3:,.0f} kB"


def models(report: Json) -> Iterator[str]:
    """One line a model."""
    names = ("name", "title", "tiles_per_s", "dim", "size_px", "licence")
    rows = []
    for model in report["models"]:
        name, title, *others = (model[key] for key in names)
        rows.append([name, title, "yes" if model["installed"] else "no", size(model["bytes"]), *others])
    yield from table(rows, ["name", "title", "installed", "size", "tiles/s", "dim", "px", "licence"])
    missing = [model["file"] for model in report["models"] if not model["installed"]]
    if missing:
        yield "Not installed: `rs-text-search models --install NAME --from FILE` takes " + ", ".join(missing)


def evaluate(report: Json) -> Iterator[str]:
    """Figures, one a line."""
    for name, value in report.items():
        yield f"{name:<20} {value:.2f}" if isinstance(value, float) else f"{name:<20} {value}"


REPORTS: dict[str, Callable[[Json], Iterator[str]]] = {
    "index": index,
    "search": search,
    "change": change,
    "contents": contents,
    "describe": describe,
    "export": export,
    "info": info,
    "verify": verify,
    "models": models,
    "doctor": doctor.lines,
    "train": evaluate,
    "evaluate": evaluate,
}
