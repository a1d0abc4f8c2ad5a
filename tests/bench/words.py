"""Precision at 10 of what people type, over val images, by scene class.

    python -m tests.bench.words MODEL JSONL[:IMAGES]... [--list]    e.g. compact rsicd.jsonl ucm.jsonl

Queries are repaired and embedded as a search does it. A query is `seen` when each of its words occurs in a training
caption of any of the sets given, `taught` when the rest occur in models/label_prompts.toml, else `unseen`. Twins are
the queries of one place. Slips are made by rule with a fixed seed, one a query in each of four ways.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from rs_text_search_plugin.models.label_prompts import label_prompts
from rs_text_search_plugin.models.layers.minilm import basic_tokens
from rs_text_search_plugin.models.registry import load
from rs_text_search_plugin.models.training.datasets import Dataset, open_dataset
from rs_text_search_plugin.models.word_list import scene_words

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.search.language.spelling import repaired
from rs_text_search_plugin.engine.search.query.embedding import embed_english as embedded
from tests.bench.gallery import gallery
from tests.bench.people import places

DEPTH = 10
SLIP_LETTERS = 4
"""Letters a word must have to get a slip."""
NEAR_KEYS = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuioposdfghjklkxcvbnmn", strict=True))


@dataclass(frozen=True)
class Asked:
    """One query on one gallery."""

    query: str
    place: int
    data: str
    origin: str
    verbatim: bool
    """Whether it stands word for word among the training phrases."""


Hits = dict[Asked, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("data", nargs="+", metavar="JSONL[:IMAGES]")
    parser.add_argument("--list", action="store_true", help="show every query, the worst first")
    args = parser.parse_args()
    bench, hits = opened(args.model, args.data)
    if args.list:
        for entry, hit in sorted(hits.items(), key=lambda item: item[1]):
            print(f"{hit:.1f}  {entry.origin:7} {entry.query} ({entry.data})")
    report(hits)
    report_twins(hits)
    report_forms(hits, bench)


def precision(model: str, data: Sequence[str]) -> float:
    """Of all queries, over the datasets that have val images."""
    shown = [spec for spec in data if any(row.split == "val" for row in open_dataset(spec).rows)]
    _, hits = opened(model, shown)
    return float(np.mean(list(hits.values())))


def opened(model: str, data: Sequence[str]) -> tuple[Bench, Hits]:
    """The galleries of a model, and how the queries fare there."""
    encoder, datasets = load(model), [open_dataset(spec) for spec in data]
    bench = Bench(encoder, {data.name: Gallery(encoder, data) for data in datasets})
    return bench, bench.measured(list(queries(datasets)), repaired)


class Gallery:
    """Val images of one data set, and how they answer texts."""

    def __init__(self, encoder: Encoder, data: Dataset) -> None:
        rows, self.images = gallery(encoder, data)
        self.labels = np.array([row.label for row in rows])

    def precision(self, vector: F32, right: Sequence[str]) -> float:
        """A text (dim,) and the labels that answer it -> share of such images among the first DEPTH."""
        best = np.argsort(-(self.images @ vector), kind="stable")[:DEPTH]
        return float(np.isin(self.labels[best], right).mean())


@dataclass(frozen=True)
class Bench:
    """An encoder and its galleries, by name."""

    encoder: Encoder
    galleries: dict[str, Gallery]

    def measured(self, asked: Sequence[Asked], change: Callable[[str], str]) -> Hits:
        """Precision of every query after `change`."""
        table, texts = places(), sorted({change(entry.query) for entry in asked})
        vectors = dict(zip(texts, embedded(self.encoder, texts), strict=True))
        hits = {}
        for entry in asked:
            right = table[entry.place].labels[entry.data]
            hits[entry] = self.galleries[entry.data].precision(vectors[change(entry.query)], right)
        return hits


def queries(datasets: Sequence[Dataset]) -> Iterator[Asked]:
    """Every query on every gallery that can answer it."""
    captions = {word for data in datasets for word in _captioned(data)}
    names = {name.lower() for group in label_prompts().labels.values() for name in group}
    for data in datasets:
        for number, place in enumerate(places()):
            for query in place.queries if data.name in place.labels else ():
                unknown = set(basic_tokens(query)) - captions
                origin = "seen" if not unknown else "taught" if unknown <= scene_words() else "unseen"
                yield Asked(query, number, data.name, origin, query.lower() in names)


def _captioned(data: Dataset) -> set[str]:
    rows = [row for row in data.rows if row.split == "train"]
    return {
        word for row in rows for text in (*row.captions, *row.more_captions) for word in basic_tokens(text)
    }


def report(hits: Hits) -> None:
    """Means by what the model was taught."""
    kinds: dict[str, Callable[[Asked], bool]] = {
        "all": lambda _: True,
        "all their words in training captions": lambda entry: entry.origin == "seen",
        "some words only in label_prompts.toml": lambda entry: entry.origin == "taught",
        "some words in neither": lambda entry: entry.origin == "unseen",
        "some words not in captions (the two above)": lambda entry: entry.origin != "seen",
        "not word for word in label_prompts.toml": lambda entry: not entry.verbatim,
    }
    print("| queries | precision at 10 | queries |\n|---|---|---|")
    for name, wanted in kinds.items():
        chosen = [hit for entry, hit in hits.items() if wanted(entry)]
        print(f"| {name} | {np.mean(chosen):.3f} | {len(chosen)} |")


def report_twins(hits: Hits) -> None:
    """What queries with words from outside the captions lose against the seen ones of the same places."""
    print("\n| unseen against seen twins | seen | unseen | loss | places |\n|---|---|---|---|---|")
    spelt = {entry: hit for entry, hit in hits.items() if is_spelt(entry.query)}
    for name, kinds in (("not in captions", ("taught", "unseen")), ("in neither", ("unseen",))):
        sides: list[tuple[float, float]] = []
        for key in dict.fromkeys((entry.data, entry.place) for entry in spelt):
            group = [(entry.origin, hit) for entry, hit in spelt.items() if (entry.data, entry.place) == key]
            seen = [hit for origin, hit in group if origin == "seen"]
            rest = [hit for origin, hit in group if origin in kinds]
            if seen and rest:
                sides.append((float(np.mean(seen)), float(np.mean(rest))))
        old, new = np.mean(sides, axis=0)
        loss = f"{100 * (1 - new / old):.1f} %"
        print(f"| {name}, slips left out | {old:.3f} | {new:.3f} | {loss} | {len(sides)} |")


def report_forms(hits: Hits, bench: Bench) -> None:
    """Queries in capitals, in the other number, and with a slip, against themselves."""
    asked = [entry for entry in hits if is_spelt(entry.query)]
    clean = float(np.mean([hits[entry] for entry in asked]))
    print(f"\n| the same {len(asked)} queries | precision at 10 | loss |\n|---|---|---|")
    forms: dict[str, Callable[[str], str]] = {
        "as they are": str,
        "in capitals": str.upper,
        "singular or plural": other_number,
    }
    for name in SLIPS:
        forms[f"a letter {name}"] = partial(slip, kind=name)
        forms[f"a letter {name}, as the engine understands it"] = lambda text, kind=name: repaired(
            slip(text, kind)
        )
    for name, change in forms.items():
        mean = float(np.mean(list(bench.measured(asked, change).values())))
        print(f"| {name} | {mean:.3f} | {100 * (1 - mean / clean):.1f} % |")


def is_spelt(query: str) -> bool:
    """Whether the engine finds no slip in it."""
    return repaired(query) == query


def other_number(text: str) -> str:
    """The last word in the plural when it is in the singular, and the reverse; by the regular rules."""
    if text.endswith(("ss", "us")) or not text.endswith("s"):
        if text.endswith("y") and text[-2] not in "aeiou":
            return text[:-1] + "ies"
        return text + ("es" if text.endswith(("ch", "sh", "x", "s")) else "s")
    if text.endswith("ies"):
        return text[:-3] + "y"
    return text[:-2] if text.endswith(("ches", "shes", "xes", "sses")) else text[:-1]


SLIPS: dict[str, Callable[[str, int], str]] = {
    "dropped": lambda word, at: word[:at] + word[at + 1 :],
    "doubled": lambda word, at: word[: at + 1] + word[at:],
    "swapped with the next": lambda word, at: word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    "replaced by a near key": lambda word, at: word[:at] + NEAR_KEYS.get(word[at], "e") + word[at + 1 :],
}


def slip(text: str, kind: str) -> str:
    """The text with one slip inside one of its longer words, always the same one; as it is without such a word."""
    draw = random.Random(f"{text}|{kind}")
    parts = text.split(" ")
    long = [number for number, word in enumerate(parts) if len(word) >= SLIP_LETTERS and word.isalpha()]
    if not long:
        return text
    chosen = draw.choice(long)
    word = parts[chosen].lower()
    at = draw.randrange(1, len(word) - 1)  # the first letter is seldom mistyped
    parts[chosen] = SLIPS[kind](word, at)
    return " ".join(parts)


if __name__ == "__main__":
    main()
