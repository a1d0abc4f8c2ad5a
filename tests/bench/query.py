"""Latency of a whole search at 10k, 100k and 1M tiles; the text tower, which takes the same at any size, is left out.

python -m tests.bench.query [--dim 384] [--tiles 10000 100000 1000000]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.search.scoring import exact
from rs_text_search_plugin.engine.search.search import search as searching
from tests.engine.synthetic import SyntheticIndex, checkerless, unit


class FixedEncoder:
    """Every text is one of a few vectors."""

    name, fingerprint, size = "bench", "f" * 64, 224
    device, batch = "cpu", 16

    def __init__(self, dim):
        self.dim = dim
        self.known = unit(np.random.default_rng(1).normal(size=(64, dim)).astype(np.float32))

    def texts(self, texts):
        return self.known[[sum(text.encode()) % 64 for text in texts]]


def clustered(count, dim):
    """Unit vectors in 300 clusters, as tiles of a real raster are, made in blocks to stay small in memory."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(300, dim)).astype(np.float32)
    out = np.empty((count, dim), np.float32)
    for start in range(0, count, 50_000):
        block = out[start : start + 50_000]
        block[:] = rng.standard_normal(block.shape, dtype=np.float32)
        block += centres[rng.integers(0, 300, len(block))]
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return out


def milliseconds(work, times=7):
    """Median of `times` runs after one that warms up."""
    work()
    spans = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        spans.append(1000 * (time.perf_counter() - start))
    return statistics.median(spans)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--tiles", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    args = parser.parse_args()
    encoder = FixedEncoder(args.dim)
    print(f"{'tiles':>9}  {'whole search':>12}  {'product alone':>13}   (ms, median of 7, {args.dim}-d)")
    for count in args.tiles:
        side = round(count**0.5)
        index = SyntheticIndex(clustered(side * side, args.dim), checkerless(side, side))
        whole = milliseconds(lambda index=index: searching.search([index], encoder, Query("a harbour")))
        product = milliseconds(lambda index=index: exact(index.vectors, encoder.known[0]))
        print(f"{side * side:>9,}  {whole:>12.1f}  {product:>13.1f}", flush=True)
        del index


if __name__ == "__main__":
    main()
