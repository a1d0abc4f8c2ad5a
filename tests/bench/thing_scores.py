"""What scores of things are worth: mosaics of chips at many scales among val images of scenes.

    python -m tests.bench.thing_scores MODEL OBJECTS.jsonl[:IMAGES] SCENES.jsonl[:IMAGES]... [--mosaics 60]

A mosaic holds 20 to 600 tiles of some sets and of scenes; queries are the plain names of things, singular and plural,
embedded and scored as a search does it. Tiles of which nobody can tell are left out. By ground: of the tiles that show
the thing the share that scores 50 or more, of the tiles that score 50 or more the share that shows it. For whole
mosaics: how often names that no tile is known to show claim no tile
that is known not to show it, and how often present ones find a place. Scenes count as in
models/evaluation/things.py: against a name, never for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from rs_text_search_plugin.models.evaluation.things import Pool, plain_names, pooled
from rs_text_search_plugin.models.registry import load
from rs_text_search_plugin.models.training.datasets import open_dataset
from rs_text_search_plugin.models.training.mixed.things import ABSENT, PRESENT, things

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.scores import POSSIBLE, STRONG
from rs_text_search_plugin.engine.search.query.embedding import embed_english
from tests.bench.reliability import LARGEST, SMALLEST, scores

GROUNDS = ((0.0, 60.0, "under 60 m"), (60.0, 150.0, "60 to 150 m"), (150.0, np.inf, "150 m and more"))
BATCH = 32


@dataclass
class Counts:
    """Tiles of one ground."""

    present: int = 0
    claimed_present: int = 0
    claimed: int = 0
    strong: int = 0
    strong_present: int = 0


@dataclass
class Tally:
    """Over all mosaics."""

    grounds: dict[str, Counts] = field(default_factory=dict)
    absent: int = 0
    silent: int = 0
    present: int = 0
    found: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("objects", metavar="OBJECTS.jsonl[:IMAGES]")
    parser.add_argument("scenes", nargs="+", metavar="SCENES.jsonl[:IMAGES]")
    parser.add_argument("--mosaics", type=int, default=60)
    args = parser.parse_args()
    encoder, tally = load(args.model), Tally()
    pool = pooled([open_dataset(args.objects)], [open_dataset(spec) for spec in args.scenes], things())
    starts = range(0, len(pool.images), BATCH)
    tiles = np.concatenate([encoder.images(pool.images[start : start + BATCH]) for start in starts])
    names = plain_names(things(), pool.things())
    texts, known = (
        embed_english(encoder, [name for _, name in names]),
        pool.known[:, [thing for thing, _ in names]],
    )
    grounds = ground_names(pool)
    for drawn in mosaics(pool, args.mosaics):
        count(tally, scores(encoder, texts, tiles[drawn]), known[drawn], grounds[drawn])
    report(tally)


def ground_names(pool: Pool) -> npt.NDArray[np.str_]:
    """(n,) the range that each tile's ground is in; "" where it is not known."""
    found = np.full(len(pool.ground), "", dtype="U20")
    for least, most, name in GROUNDS:
        found[(pool.ground >= least) & (pool.ground < most)] = name
    return found


def mosaics(pool: Pool, count: int) -> Iterator[npt.NDArray[np.intp]]:
    """Rows of the tiles of each mosaic: chips of some of the sets, and as many scenes."""
    draw, sets = np.random.default_rng(0), np.unique(pool.origin[pool.origin != ""])
    scenes = np.flatnonzero(pool.origin == "")
    for _ in range(count):
        kept = draw.choice(sets, draw.integers(1, 1 + len(sets) // 2), replace=False)
        chips = draw.permutation(np.flatnonzero(np.isin(pool.origin, kept)))
        size = int(draw.integers(SMALLEST, LARGEST + 1))
        yield np.concatenate([chips[: size // 2], draw.choice(scenes, size - size // 2, replace=False)])


def count(tally: Tally, found: F32, known: npt.NDArray[np.int8], grounds: npt.NDArray[np.str_]) -> None:
    """Adds one mosaic; found and known (n, q), grounds (n,)."""
    present, told = known == PRESENT, known != 0
    for name in np.unique(grounds):
        here = (grounds == name)[:, None] & told
        counts = tally.grounds.setdefault(str(name), Counts())
        counts.present += int((here & present).sum())
        counts.claimed += int((here & (found >= POSSIBLE)).sum())
        counts.claimed_present += int((here & present & (found >= POSSIBLE)).sum())
        counts.strong += int((here & (found >= STRONG)).sum())
        counts.strong_present += int((here & present & (found >= STRONG)).sum())
    there = present.any(axis=0)
    tally.absent, tally.present = tally.absent + int((~there).sum()), tally.present + int(there.sum())
    claims = (found >= POSSIBLE) & (known == ABSENT)
    tally.silent += int((~claims.any(axis=0))[~there].sum())
    tally.found += int(((found >= POSSIBLE) & present).any(axis=0)[there].sum())


def report(tally: Tally) -> None:
    """By ground, then the figures for whole mosaics."""
    print("| ground of a tile | show the thing | of these score 50 | right above 50 | right above 80 |")
    print("|---|---|---|---|---|")
    for name, c in sorted(tally.grounds.items()):
        found, right = (100 * c.claimed_present / max(1, of) for of in (c.present, c.claimed))
        strong = 100 * c.strong_present / max(1, c.strong)
        title = name or "not known, scenes among them"
        print(f"| {title} | {c.present:,} | {found:.1f} % | {right:.1f} % | {strong:.1f} % of {c.strong:,} |")
    silent, found = 100 * tally.silent / max(1, tally.absent), 100 * tally.found / max(1, tally.present)
    print(f"\nNothing above {POSSIBLE:.0f}: {silent:.1f} % of {tally.absent:,} absent names")
    print(f"Found above {POSSIBLE:.0f}: {found:.1f} % of {tally.present:,} present names")


if __name__ == "__main__":
    main()
