"""Precision at 10 of the same queries in nine languages, against English.

    python -m tests.bench.languages MODEL JSONL[:IMAGES]... [--list] [--by-meaning]

Queries are told their language, translated and embedded as a search does it; nothing is set. `told` is the share
whose language was told right, or is one in which the word is written alike; `listed` the share that the word lists
translate whole. With --by-meaning the word lists are left out: everything goes by the sentence encoder.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomllib
from rs_text_search_plugin.models.registry import load
from rs_text_search_plugin.models.training.datasets import open_dataset

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.search.language.dictionary import ENGLISH, LANGUAGES
from rs_text_search_plugin.engine.search.query.embedding import embed
from rs_text_search_plugin.engine.search.query.parse import BY_MEANING, LISTED, Phrase, parse
from tests.bench.words import Gallery


@dataclass(frozen=True)
class Answer:
    """A query of one language: its phrase, and its precision on every gallery that can answer it."""

    phrase: Phrase
    precision: tuple[float, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("data", nargs="+", metavar="JSONL[:IMAGES]")
    parser.add_argument("--list", action="store_true", help="show every query below 0.8, by language")
    parser.add_argument("--by-meaning", action="store_true", help="leave the word lists out")
    args = parser.parse_args()
    encoder = load(args.model)
    galleries = {data.name: Gallery(encoder, data) for data in map(open_dataset, args.data)}
    answers = {code: answered(encoder, galleries, code, args.by_meaning) for code in (ENGLISH, *LANGUAGES)}
    report(answers)
    if args.list:
        report_weak(answers)


def queries() -> list[dict[str, Any]]:
    """The whole list: texts by language, and the right classes by data set."""
    text = Path(__file__).with_name("languages.toml").read_text("utf-8")
    return list(tomllib.loads(text)["query"])


def answered(encoder: Encoder, galleries: dict[str, Gallery], code: str, by_meaning: bool) -> list[Answer]:
    """Every query of a language."""
    phrases = [phrase_of(query[code], by_meaning and code != ENGLISH) for query in queries()]
    vectors = embed(encoder, list(dict.fromkeys(phrases)))
    return [
        Answer(phrase, precision(galleries, vectors[phrase], query))
        for query, phrase in zip(queries(), phrases, strict=True)
    ]


def phrase_of(text: str, by_meaning: bool) -> Phrase:
    """The one phrase that a query is."""
    if by_meaning:
        return Phrase(text, text, "", BY_MEANING)
    (phrase,) = parse(Query(text)).phrases()
    return phrase


def precision(galleries: dict[str, Gallery], vector: F32, query: dict[str, Any]) -> tuple[float, ...]:
    """At 10, on each gallery that can answer."""
    return tuple(
        gallery.precision(vector, query[name]) for name, gallery in galleries.items() if name in query
    )


def report(answers: dict[str, list[Answer]]) -> None:
    """A row a language."""
    own = mean(answers[ENGLISH])
    print("| language | precision at 10 | of English | told | listed | queries |\n|---|---|---|---|---|---|")
    for code, found in answers.items():
        told = np.mean([answer.phrase.language == code for answer in found])
        listed = np.mean([answer.phrase.route == LISTED for answer in found])
        print(
            f"| {code} | {mean(found):.3f} | {mean(found) / own:.3f} | {told:.2f} | {listed:.2f} | {len(found)} |"
        )


def report_weak(answers: dict[str, list[Answer]]) -> None:
    """Queries that find less than 0.8, and how they were understood."""
    for code, found in answers.items():
        for answer in found:
            if answer.precision and np.mean(answer.precision) < 0.8:
                phrase = answer.phrase
                scores = " ".join(f"{score:.1f}" for score in answer.precision)
                print(
                    f"{code} {scores}  {phrase.typed} -> {phrase.english} ({phrase.language}, {phrase.route})"
                )


def mean(found: list[Answer]) -> float:
    """Over queries and galleries."""
    return float(np.mean([score for answer in found for score in answer.precision]))


if __name__ == "__main__":
    main()
