"""DOVE's two forms of regional guidance: what a query costs, what an image takes on disk, and how well they rank.

python -m tests.bench.guidance [--tiles 1000 10000]
python -m tests.bench.guidance --recall WEIGHTS JSONL:IMAGES     of a `dove:pair_guidance`, on val, in some minutes

Cost: random weights, one thread, processor time; it does not depend on what was learned. Both forms read the words
first, which is told apart."""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.evaluation.retrieval import recalls_from_scores
from rs_text_search_plugin.models.inference.runtime import backbone_runner, inference_autocast
from rs_text_search_plugin.models.layers.minilm import SPECIAL
from rs_text_search_plugin.models.systems.dove import Dove, Offer
from rs_text_search_plugin.models.training.augment import resized_image
from rs_text_search_plugin.models.training.datasets import open_dataset

QUERY = "many white storage tanks stand beside a river and some green trees"
SOME = 64
"""Images and texts that are compared at once."""
BLOCK = 500
"""Images at a time, so that a query takes no more memory the more images there are. Their keys and values
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
    """What BLOCK made-up images bring to every pair."""
    regions = model.regions.prototypes() + torch.randn(BLOCK, model.chosen.regions, model.dim)
    return Offer(torch.randn(BLOCK, model.dim), model.iga.offer(regions))


@torch.inference_mode()
def recall(weights, data):
    """mR of both forms on the val split."""
    dataset, model, cpu = open_dataset(data), checkpoint.load(Path(weights)), torch.device("cpu")
    rows = dataset.split("val")
    captions = [caption for row in rows for caption in row.captions]
    owners = np.repeat(np.arange(len(rows)), [len(row.captions) for row in rows])
    distinct, place = np.unique(captions, return_inverse=True)
    look, similarity = backbone_runner(model.backbone, cpu), {"prototypes": [], "pair": []}
    texts = [list(distinct[i : i + SOME]) for i in range(0, len(distinct), SOME)]
    with inference_autocast(cpu):
        read = [model.read(some) for some in texts]
        guided = torch.cat([model.guided(*some) for some in read])
        for start in range(0, len(rows), SOME):
            tiles = np.stack(
                [resized_image(dataset.images.read(row.image)) for row in rows[start : start + SOME]]
            )
            offer = model.offer(look(torch.from_numpy(tiles)))
            similarity["prototypes"].append(offer.images.float() @ guided.float().T)
            similarity["pair"].append(torch.cat([model.similarity(offer, *some) for some in read], 1))
    for form, parts in similarity.items():
        by_image = torch.cat(parts).float().numpy()[:, place]
        print(f"{form}: mR {recalls_from_scores(by_image, by_image.T, owners)['mr']:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recall", nargs=2, metavar=("WEIGHTS", "JSONL:IMAGES"))
    parser.add_argument("--tiles", type=int, nargs="+", default=[1000, 10_000])
    args = parser.parse_args()
    if args.recall:
        recall(*args.recall)
        return
    torch.set_num_threads(1)
    model = Dove([*SPECIAL, *QUERY.split()], {"guidance": "pair"}).eval()
    with torch.inference_mode():
        read, block = model.read([QUERY]), offered(model)
        print(f"reading {len(read[0][0])} pieces: {milliseconds(lambda: model.read([QUERY])):.1f} ms")
        paired = milliseconds(lambda: model.similarity(block, *read)) / BLOCK
        for tiles in args.tiles:
            vectors = torch.randn(tiles, model.dim)
            alone = milliseconds(lambda vectors=vectors: vectors @ model.guided(*read).T)
            print(f"{tiles:>7,} pictures: prototypes {alone:.2f} ms, pair {paired * tiles:.0f} ms")
    vector, regions = 2 * model.dim, model.chosen.regions  # bytes in fp16
    print(f"a picture on disk: prototypes {vector:,} bytes, pair {vector * (1 + 2 * regions):,} bytes")


if __name__ == "__main__":
    main()
