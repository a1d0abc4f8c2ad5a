"""Texts that differ in one thing: how often the right one fits a image better.

    python -m tests.bench.pairs MODEL JSONL[:IMAGES]... [--list]    e.g. compact rsicd.jsonl ucm.jsonl

tests/bench/pairs.toml holds the pairs and says how images are chosen. `prefers`: the image's own text scores higher
than the other; `ranks`: the text scores its own images higher than the other's, in a search for it (area under the
curve). Both are means of the two sides, so that a text which always scores higher gains nothing: chance is 50 %.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tomllib
from rs_text_search_plugin.models.registry import load
from rs_text_search_plugin.models.training.datasets import Row, open_dataset

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.search.query.prompts import phrases
from rs_text_search_plugin.engine.search.search import Limits, search
from tests.bench.gallery import gallery
from tests.engine.synthetic import SyntheticIndex, checkerless

LEAST = 2
"""Pictures a side; a pair with fewer is left out."""


@dataclass(frozen=True)
class Pair:
    """Two texts and the rows, of one gallery, of the images that show the one or the other."""

    kind: str
    a: str
    b: str
    shows_a: tuple[int, ...]
    shows_b: tuple[int, ...]


def pairs(name: str, rows: Sequence[Row]) -> list[Pair]:
    """The pairs of a data set whose two sides the captions of `rows` can tell apart."""
    table = tomllib.loads(Path(__file__).with_name("pairs.toml").read_text("utf-8"))
    found = [_pair(raw, rows, table["words"]) for raw in table["pairs"].get(name, ())]
    return [pair for pair in found if min(len(pair.shows_a), len(pair.shows_b)) >= LEAST]


def _pair(raw: dict, rows: Sequence[Row], words: dict[str, str]) -> Pair:
    def told(number: int, key: str) -> bool:
        pattern = re.sub(r"<(\w+)>", lambda found: words[found[1]], raw[key])
        return any(re.search(pattern, caption.lower()) for caption in rows[number].captions)

    if "scene" in raw:
        names = {Path(row.image).stem: number for number, row in enumerate(rows)}
        eyed = (
            tuple(names[f"{raw['scene']}_{number}"] for number in raw[side]) for side in ("a_are", "b_are")
        )
        return Pair(raw["kind"], raw["a"], raw["b"], *eyed)
    labels = raw.get("label")
    usable = [n for n, row in enumerate(rows) if not labels or row.label in labels]
    says_a = {n for n in usable if told(n, "a_if")}
    says_b = {n for n in usable if told(n, "b_if")} if "b_if" in raw else set(usable) - says_a
    sides = tuple(sorted(says_a - says_b)), tuple(sorted(says_b - says_a))
    return Pair(raw["kind"], raw["a"], raw["b"], *sides)


@dataclass(frozen=True)
class Answer:
    """Shares of right answers to a pair, 0-1."""

    pair: Pair
    prefers: float
    ranks: float


def answer(encoder: Encoder, index: SyntheticIndex, pair: Pair) -> Answer:
    """`index` holds the gallery that the pair's rows are of."""
    texts, (a, b) = phrases(encoder, [pair.a, pair.b]), (list(pair.shows_a), list(pair.shows_b))
    lead = index.vectors @ (texts[0] - texts[1])
    prefers = np.mean([(lead[a] > 0).mean(), (lead[b] < 0).mean()])
    for_a, for_b = (
        search([index], encoder, Query(text=text), Limits(top=1)).scores[0] for text in (pair.a, pair.b)
    )
    return Answer(pair, float(prefers), (area(for_a[a], for_a[b]) + area(for_b[b], for_b[a])) / 2)


def area(right: F32, wrong: F32) -> float:
    """(n,) and (m,) scores -> share of the n x m in which the right one is higher, a tie counting half."""
    return float(((right[:, None] > wrong).mean() + (right[:, None] >= wrong).mean()) / 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("data", nargs="+", metavar="JSONL[:IMAGES]")
    parser.add_argument("--list", action="store_true", help="show every pair, the worst first")
    args = parser.parse_args()
    encoder = load(args.model)
    found: list[Answer] = []
    for spec in args.data:
        dataset = open_dataset(spec)
        rows, images = gallery(encoder, dataset)
        index = SyntheticIndex(images, checkerless(1, len(rows)), fingerprint=encoder.fingerprint)
        found += [answer(encoder, index, pair) for pair in pairs(dataset.name, rows)]
    if args.list:
        for item in sorted(found, key=lambda item: item.prefers + item.ranks):
            sides = f"{len(item.pair.shows_a)} and {len(item.pair.shows_b)} pictures"
            shares = f"{100 * item.prefers:4.0f} {100 * item.ranks:4.0f} %"
            print(f"{shares}  {item.pair.kind:9} {item.pair.a} / {item.pair.b}, {sides}")
    report(found)


def report(found: Sequence[Answer]) -> None:
    """One line a kind, then all; after ± the standard error over pairs."""
    print("| kind | prefers | ranks | pairs | pictures |\n|---|---|---|---|---|")
    for kind in (*dict.fromkeys(item.pair.kind for item in found), "all"):
        chosen = [item for item in found if kind in (item.pair.kind, "all")]
        pictures = sum(len(item.pair.shows_a) + len(item.pair.shows_b) for item in chosen)
        shares = [_share([item.prefers for item in chosen]), _share([item.ranks for item in chosen])]
        print(f"| {kind} | {shares[0]} | {shares[1]} | {len(chosen)} | {pictures} |")


def _share(values: Sequence[float]) -> str:
    return f"{100 * np.mean(values):.1f} % ± {100 * np.std(values) / len(values) ** 0.5:.1f}"


if __name__ == "__main__":
    main()
