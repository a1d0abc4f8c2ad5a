"""What reranking changes: people's words, and pairs of texts that differ in one thing.

    python -m tests.bench.reranking JSONL:IMAGES... [--model compact] [--reranker mtgfe]

Val images lie in a mosaic, which is indexed and searched as in QGIS, and the best matches are reranked. Words are
judged by precision at 10 (words.py), pairs by how often a text ranks its own images above the other's (pairs.py);
images of pairs are all reranked, whether or not they are among the best.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np
from rs_text_search_plugin.models import registry
from rs_text_search_plugin.models.training.datasets import Dataset, open_dataset, pixels

from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.contracts.protocols import Encoder, Reranker
from rs_text_search_plugin.engine.index.store import Index
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.search.rerank import log_odds, rerank
from rs_text_search_plugin.engine.search.search import Limits, search
from tests.bench.mosaic import SIDE, indexed
from tests.bench.pairs import area, pairs
from tests.bench.people import places
from tests.bench.words import DEPTH, queries

Figures = dict[str, list[tuple[float, float]]]
"""Kind of query -> before and after, for each."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("data", nargs="+", metavar="JSONL:IMAGES")
    parser.add_argument("--model", default=registry.DEFAULT)
    parser.add_argument("--reranker", default=registry.RERANKER)
    args = parser.parse_args()
    encoder, reranker = registry.load(args.model), registry.load_reranker(args.reranker)
    found: Figures = defaultdict(list)
    for data in map(open_dataset, args.data):
        mosaic = indexed(encoder, data)
        judge_words(found, data, mosaic, encoder, reranker)
        judge_pairs(found, data, mosaic, encoder, reranker)
    print(f"| {encoder.name}, then {reranker.name} | before | after | queries |\n|---|---|---|---|")
    for kind, figures in found.items():
        before, after = 100 * np.mean(figures, axis=0)
        print(f"| {kind} | {before:.1f} | {after:.1f} | {len(figures)} |")


def judge_words(found: Figures, data: Dataset, mosaic: Index, encoder: Encoder, reranker: Reranker) -> None:
    """Precision at 10 of what people type, percent."""
    labels, table = np.array([row.label for row in data.split("val")]), places()
    for asked in queries([data]):
        query = Query(text=asked.query)
        first = search([mosaic], encoder, query, Limits(top=len(labels)))
        again = rerank(first, [mosaic], query, reranker, Job())
        right = table[asked.place].labels[data.name]
        before, after = (
            float(np.isin(labels[[m.id for m in result.matches if m.id < len(labels)][:DEPTH]], right).mean())
            for result in (first, again)
        )
        found[
            f"words, {'seen' if asked.origin == 'seen' else 'not in captions'}: precision at {DEPTH}"
        ].append((before, after))


def judge_pairs(found: Figures, data: Dataset, mosaic: Index, encoder: Encoder, reranker: Reranker) -> None:
    """How often a text ranks its own images above the other's, percent."""
    rows = data.split("val")
    for pair in pairs(data.name, rows):
        numbers = [*pair.shows_a, *pair.shows_b]
        tiles = np.stack([pixels(data.images.read(rows[n].image).resize((SIDE, SIDE))) for n in numbers])
        a, b = slice(0, len(pair.shows_a)), slice(len(pair.shows_a), None)
        sides = []
        for text, right, wrong in ((pair.a, a, b), (pair.b, b, a)):
            scores = search([mosaic], encoder, Query(text=text), Limits(top=1)).scores[0][numbers]
            first = log_odds(scores / np.float32(100))
            both = first + log_odds(reranker.pairs(text, tiles))
            sides.append([area(judged[right], judged[wrong]) for judged in (first, both)])
        before, after = np.mean(sides, axis=0)
        found[f"pairs, {pair.kind}: ranks"].append((float(before), float(after)))


if __name__ == "__main__":
    main()
