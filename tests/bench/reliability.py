"""What scores are worth on mosaics of val images: how often is a place right that scores 80?

    python -m tests.bench.reliability MODEL JSONL[:IMAGES]... [--mosaics 60] [--svg FILE]

All val images of a data set are laid out as one raster and indexed; mosaics are draws of its tiles that hold some of
the scenes only. Queries are those of people_words.toml. A tile is right when its scene answers the query, nobody can
tell when it is another scene whose captions use the words of one of the place's queries, and wrong otherwise. A query
is absent when no tile of the mosaic is right or doubtful. Scores are made as `search` makes them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rs_text_search_plugin.models.registry import load
from rs_text_search_plugin.models.training.datasets import Row, open_dataset

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.contracts.scores import POSSIBLE, STRONG
from rs_text_search_plugin.engine.search.calibration import calibration, gain, lines, percent
from rs_text_search_plugin.engine.search.language.spelling import repaired
from rs_text_search_plugin.engine.search.query.embedding import embed_english, vocabulary_vectors
from tests.bench.mosaic import indexed
from tests.bench.people import Mask, Place, places, shown

BINS = 10
SMALLEST, LARGEST = 20, 600
"""Tiles of a mosaic."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Queries:
    """q texts against the n tiles of a data set; `yes` and `perhaps` are (n, q)."""

    texts: F32
    yes: Mask
    perhaps: Mask


@dataclass
class Tally:
    """Counts over all mosaics; the first three by bin of score."""

    right: Floats
    wrong: Floats
    doubtful: Floats
    silent: int = 0
    absent: int = 0
    found: int = 0
    present: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("data", nargs="+", metavar="JSONL[:IMAGES]")
    parser.add_argument("--mosaics", type=int, default=60, help="drawn from each data set")
    parser.add_argument("--svg", type=Path, help="also draw the diagram into this file")
    args = parser.parse_args()
    encoder = load(args.model)
    tally = Tally(*(np.zeros(BINS) for _ in range(3)))
    for spec in args.data:
        dataset = open_dataset(spec)
        rows = dataset.split("val")
        tiles = np.asarray(indexed(encoder, dataset).vectors[: len(rows)], dtype=np.float32)
        asked = queries(encoder, dataset.name, rows)
        for drawn in mosaics(rows, args.mosaics):
            count(tally, scores(encoder, asked.texts, tiles[drawn]), asked.yes[drawn], asked.perhaps[drawn])
    report(tally)
    if args.svg:
        args.svg.write_text(diagram(tally), encoding="utf-8")


def queries(encoder: Encoder, name: str, rows: Sequence[Row]) -> Queries:
    """What people type, and the images that show it."""
    chosen: list[Place] = [place for place in places() if name in place.labels]
    texts = [repaired(query) for place in chosen for query in place.queries]
    truth = [shown(place, name, rows) for place in chosen for _ in place.queries]
    yes, perhaps = (np.stack(side, axis=1) for side in zip(*truth, strict=True))
    return Queries(embed_english(encoder, texts), yes, perhaps)


def mosaics(rows: Sequence[Row], count: int) -> Iterator[npt.NDArray[np.intp]]:
    """Rows of the tiles of each mosaic: up to LARGEST images of one to three quarters of the scenes."""
    draw, labels = np.random.default_rng(0), np.array([row.label for row in rows])
    scenes = np.unique(labels)
    for _ in range(count):
        kept = draw.choice(scenes, draw.integers(1, 1 + 3 * len(scenes) // 4), replace=False)
        pool = draw.permutation(np.flatnonzero(np.isin(labels, kept)))
        yield pool[: draw.integers(SMALLEST, LARGEST + 1)]


def scores(encoder: Encoder, texts: F32, tiles: F32) -> F32:
    """(q, dim) and (n, dim) -> (n, q), 0-100."""
    model = calibration(encoder)
    fits = lines(model, texts, tiles, gain(model, tiles, vocabulary_vectors(encoder)))
    return percent(
        np.stack([fit.logits(tiles @ text) for fit, text in zip(fits, texts, strict=True)], axis=1)
    )


def count(tally: Tally, found: F32, yes: Mask, perhaps: Mask) -> None:
    """Adds one mosaic; all (n, q)."""
    bins = np.minimum(found.astype(np.intp) * BINS // 100, BINS - 1)
    tally.right += np.bincount(bins[yes], minlength=BINS)
    tally.wrong += np.bincount(bins[~yes & ~perhaps], minlength=BINS)
    tally.doubtful += np.bincount(bins[perhaps], minlength=BINS)
    absent, present = ~(yes | perhaps).any(axis=0), yes.any(axis=0)
    tally.absent += int(absent.sum())
    tally.silent += int((found[:, absent] < POSSIBLE).all(axis=0).sum())
    tally.present += int(present.sum())
    tally.found += int(((found >= POSSIBLE) & yes).any(axis=0)[present].sum())


def report(tally: Tally) -> None:
    """The diagram as a table, then the three figures."""
    print("| score | right | | places judged | cannot be told |\n|---|---|---|---|---|")
    for number in range(BINS):
        right, judged = tally.right[number], tally.right[number] + tally.wrong[number]
        share = right / max(judged, 1)
        span = f"{100 * number // BINS}-{100 * (number + 1) // BINS}"
        bar = "█" * round(20 * share)
        print(f"| {span} | {100 * share:.0f} % | {bar} | {judged:,.0f} | {tally.doubtful[number]:,.0f} |")
    first = int(STRONG) * BINS // 100
    right, wrong, doubtful = (side[first:].sum() for side in (tally.right, tally.wrong, tally.doubtful))
    strict = 100 * right / max(1, right + wrong + doubtful)
    print(
        f"\nRight above {STRONG:.0f}: {100 * right / max(1, right + wrong):.1f} % of {right + wrong:,.0f} places",
        end="",
    )
    print(f" ({strict:.1f} % when those that cannot be told count as wrong)")
    print(
        f"Nothing above {POSSIBLE:.0f}: {100 * tally.silent / tally.absent:.1f} % of {tally.absent:,} absent queries"
    )
    print(
        f"Found above {POSSIBLE:.0f}: {100 * tally.found / tally.present:.1f} % of {tally.present:,} present queries"
    )


def diagram(tally: Tally) -> str:
    """An SVG of 360 x 360: share right against score, bars as wide as their bin, the diagonal for comparison."""
    side, edge = 300, 40
    width = side // BINS
    judged = tally.right + tally.wrong
    bars = [
        f'<rect x="{edge + width * at + 1}" y="{edge + side - high:.1f}" width="{width - 2}" height="{high:.1f}"/>'
        for at in np.flatnonzero(judged)
        if (high := side * tally.right[at] / judged[at])
    ]
    frame = f'<path d="M{edge} {edge}v{side}h{side}" fill="none" stroke="#444"/>'
    line = f'<path d="M{edge} {edge + side}l{side} {-side}" stroke="#c2571a" stroke-dasharray="5 4"/>'
    ticks = [
        f'<text x="{edge + 3 * at}" y="{edge + side + 16}" text-anchor="middle">{at}</text>'
        f'<text x="{edge - 6}" y="{edge + side - 3 * at + 4}" text-anchor="end">{at}</text>'
        for at in (0, 20, 40, 60, 80, 100)
    ]
    names = (
        f'<text x="{edge + side / 2:.0f}" y="{edge + side + 34}" text-anchor="middle">score</text>'
        f'<text x="{edge - 30}" y="{edge - 14}">right, %</text>'
    )
    style = 'font-family="sans-serif" font-size="12" fill="#222"'
    inside = "\n".join(
        ['<g fill="#3b76b0">', *bars, "</g>", frame, line, f"<g {style}>", *ticks, names, "</g>"]
    )
    size = side + 2 * edge
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" viewBox="0 0 {size} {size}">'
    )
    return f'{head}\n<rect width="{size}" height="{size}" fill="#fff"/>\n{inside}\n</svg>\n'


if __name__ == "__main__":
    main()
