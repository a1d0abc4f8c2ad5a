"""Precision at 10 of what people type, over val pictures, by scene class.

python tests/bench/words.py MODEL JSONL[:IMAGES]...    e.g. compact rsicd.jsonl ucm.jsonl
A query counts as seen when each of its words occurs in a training caption of any of the sets given.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tomllib
from rs_text_search_plugin.models import load
from rs_text_search_plugin.models.datasets import Dataset, open_dataset
from rs_text_search_plugin.models.evaluation import embed_images
from rs_text_search_plugin.models.text import words

DEPTH = 10


def main(model: str, *specs: str) -> None:
    """Print each query's share of right pictures among the first ten, the worst first, then the means."""
    encoder = load(model)
    datasets = [open_dataset(spec) for spec in specs]
    known = {word for data in datasets for word in _taught(data)}
    places = tomllib.loads(Path(__file__).with_name("people_words.toml").read_text("utf-8"))["place"]
    found: list[tuple[float, bool, str]] = []
    for data in datasets:
        rows = data.split("val")
        labels = np.array([row.label for row in rows])
        images = embed_images(encoder, data, rows)
        for place in places:
            for query in place["queries"] if data.name in place else ():
                best = np.argsort(-(encoder.texts([query]) @ images.T)[0])[:DEPTH]
                hit = float(np.isin(labels[best], place[data.name]).mean())
                found.append((hit, known.issuperset(words(query)), f"{query} ({data.name})"))
    report(sorted(found))


def report(found: list[tuple[float, bool, str]]) -> None:
    """(precision, seen, query) -> lines."""
    for hit, seen, query in found:
        print(f"{hit:.1f}  {'' if seen else 'unseen  '}{query}")
    for name, chosen in (("all", (True, False)), ("seen", (True,)), ("unseen", (False,))):
        hits = [hit for hit, seen, _ in found if seen in chosen]
        print(f"{np.mean(hits):.3f}  {name}, {len(hits)} queries")


def _taught(data: Dataset) -> set[str]:
    rows = [row for row in data.rows if row.split == "train"]
    return {word for row in rows for text in (*row.captions, *row.more_captions) for word in words(text)}


if __name__ == "__main__":
    main(*sys.argv[1:])
