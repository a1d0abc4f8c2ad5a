"""DOVE's two forms of regional guidance: what a query costs, and what a picture takes on disk.

python -m tests.bench.guidance [--tiles 1000 10000]

Random weights, one thread, processor time: the cost does not depend on what was learned. Both forms read the
words first, which is told apart."""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from rs_text_search_plugin.models.dove import Dove, Offer
from rs_text_search_plugin.models.text import SPECIAL

QUERY = "many white storage tanks stand beside a river and some green trees"
BLOCK = 500
"""Pictures at a time, so that a query takes no more memory the more pictures there are. Their keys and values
(55 MB) are more than a cache holds, so that the same block can stand for all."""


def milliseconds(work, times=5):
    """Median of `times` runs after one that warms up."""
    work()
    spans = []
    for _ in range(times):
        start = time.process_time()
        work()
        spans.append(1000 * (time.process_time() - start))
    return statistics.median(spans)


def offered(model):
    """What BLOCK made-up pictures bring to every pair."""
    regions = model.regions.prototypes() + torch.randn(BLOCK, model.chosen.regions, model.dim)
    return Offer(torch.randn(BLOCK, model.dim), model.iga.offer(regions))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, nargs="+", default=[1000, 10_000])
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = Dove([*SPECIAL, *QUERY.split()], {"guidance": "pair"}).eval()
    with torch.inference_mode():
        read, block = model.read([QUERY]), offered(model)
        print(f"reading {len(read[0][0])} pieces: {milliseconds(lambda: model.read([QUERY])):.1f} ms")
        paired = milliseconds(lambda: model.likeness(block, *read)) / BLOCK
        for tiles in args.tiles:
            vectors = torch.randn(tiles, model.dim)
            alone = milliseconds(lambda vectors=vectors: vectors @ model.guided(*read).T)
            print(f"{tiles:>7,} pictures: prototypes {alone:.2f} ms, pair {paired * tiles:.0f} ms")
    vector, regions = 2 * model.dim, model.chosen.regions  # bytes in fp16
    print(f"a picture on disk: prototypes {vector:,} bytes, pair {vector * (1 + 2 * regions):,} bytes")


if __name__ == "__main__":
    main()
