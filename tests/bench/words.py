"""Precision at 10 of short queries over RSICD val, by scene: `python tests/bench/words.py MODEL
JSONL:IMAGES`."""

import sys
from pathlib import Path

import numpy as np
import tomllib
from rs_text_search_plugin.models import load
from rs_text_search_plugin.models.datasets import open_dataset
from rs_text_search_plugin.models.evaluation import embed_images


def main(model: str, data: str) -> None:
    """Print each query's share of right pictures among the first ten, the worst first."""
    encoder = load(model)
    dataset = open_dataset(data)
    rows = dataset.split("val")
    labels = np.array([row.label for row in rows])
    images = embed_images(encoder, dataset, rows)
    queries = tomllib.loads(Path(__file__).with_name("queries.toml").read_text("utf-8"))
    best = np.argsort(-(encoder.texts(list(queries)) @ images.T), axis=1)[:, :10]
    hits = [np.isin(labels[top], right).mean() for top, right in zip(best, queries.values(), strict=True)]
    for hit, query in sorted(zip(hits, queries, strict=True)):
        print(f"{hit:.1f}  {query}")
    print(f"{np.mean(hits):.3f}  mean of {len(hits)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
