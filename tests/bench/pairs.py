"""Texts that differ in one thing: how often the right one fits a picture better.

    python -m tests.bench.pairs MODEL JSONL[:IMAGES]... [--list]    e.g. compact rsicd.jsonl ucm.jsonl

tests/bench/pairs.toml holds the pairs and says how pictures are chosen. A pair counts the share of right answers on
either side and takes the mean, so that a text which always scores higher gains nothing: chance is 50 %.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tomllib
from rs_text_search_plugin.models import load
from rs_text_search_plugin.models.datasets import Row, open_dataset

from rs_text_search_plugin.engine.query import phrases
from rs_text_search_plugin.engine.types import F32, Encoder
from tests.bench.gallery import gallery

LEAST = 2
"""Pictures a side; a pair with fewer is left out."""


@dataclass(frozen=True)
class Pair:
    """Two texts and the rows, of one gallery, of the pictures that show the one or the other."""

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

    labels = raw.get("label")
    usable = [n for n, row in enumerate(rows) if not labels or row.label in labels]
    usable = [n for n in usable if "where" not in raw or told(n, "where")]
    says_a = {n for n in usable if told(n, "a_if")}
    says_b = {n for n in usable if told(n, "b_if")} if "b_if" in raw else set(usable) - says_a
    sides = tuple(sorted(says_a - says_b)), tuple(sorted(says_b - says_a))
    return Pair(raw["kind"], raw["a"], raw["b"], *sides)


def right(encoder: Encoder, images: F32, pair: Pair) -> float:
    """Share of pictures that their text fits better, the mean of both sides; images (n, dim)."""
    texts = phrases(encoder, [pair.a, pair.b])
    lead = images @ (texts[0] - texts[1])
    return float(np.mean([(lead[list(pair.shows_a)] > 0).mean(), (lead[list(pair.shows_b)] < 0).mean()]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("data", nargs="+", metavar="JSONL[:IMAGES]")
    parser.add_argument("--list", action="store_true", help="show every pair, the worst first")
    args = parser.parse_args()
    encoder = load(args.model)
    found: list[tuple[float, Pair]] = []
    for spec in args.data:
        dataset = open_dataset(spec)
        rows, images = gallery(encoder, dataset)
        found += [(right(encoder, images, pair), pair) for pair in pairs(dataset.name, rows)]
    if args.list:
        for share, pair in sorted(found, key=lambda item: item[0]):
            sides = f"{len(pair.shows_a)} and {len(pair.shows_b)} pictures"
            print(f"{100 * share:4.0f} %  {pair.kind:9} {pair.a} / {pair.b}, {sides}")
    report(found)


def report(found: Sequence[tuple[float, Pair]]) -> None:
    """(share right, pair) -> one line a kind, then all; in brackets the standard error over pairs."""
    print("| kind | right | pairs | pictures |\n|---|---|---|---|")
    for kind in (*dict.fromkeys(pair.kind for _, pair in found), "all"):
        chosen = [(share, pair) for share, pair in found if kind in (pair.kind, "all")]
        shares = np.array([share for share, _ in chosen])
        pictures = sum(len(pair.shows_a) + len(pair.shows_b) for _, pair in chosen)
        error = shares.std() / len(shares) ** 0.5
        print(f"| {kind} | {100 * shares.mean():.1f} % (± {100 * error:.1f}) | {len(shares)} | {pictures} |")


if __name__ == "__main__":
    main()
