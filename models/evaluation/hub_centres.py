"""Find the centres of training texts and images that hub correction uses.

    python -m rs_text_search_plugin.models.evaluation.hub_centres FILE.safetensors JSONL[:IMAGES] ...

clusters the embeddings of the train splits and adds the centres to FILE.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import faiss
import numpy as np
import torch
from rs_text_search_plugin.models import checkpoint, registry
from rs_text_search_plugin.models.training.datasets import Dataset, open_dataset

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.protocols import Encoder

from .hub_correction import HubCentres
from .retrieval import embed_images, embed_texts

MAX_TEXTS, MAX_IMAGES = 8000, 4000
"""Training texts and images used of each dataset, drawn at random."""
CENTRES = 128
KMEANS_ITERATIONS = 20


def add_hub_centres(weights: Path, specs: Sequence[str], seed: int = 0) -> None:
    """Find the centres of the train splits of `JSONL[:IMAGES]` specs and add them to a weight file.

    Raises ModelError."""
    encoder, rng = registry.load(str(weights), "cpu"), np.random.default_rng(seed)
    embedded = [_embedded(encoder, dataset, rng) for dataset in map(open_dataset, specs)]
    images, texts = (np.concatenate(parts) for parts in zip(*embedded, strict=True))
    found = asdict(find_hub_centres(images, texts, seed))
    checkpoint.replace_tensors(
        weights, {checkpoint.HUB_CENTRES + name: torch.from_numpy(value) for name, value in found.items()}
    )


def find_hub_centres(images: F32, texts: F32, seed: int = 0, count: int = CENTRES) -> HubCentres:
    """Unit vectors of training images (n, dim) and texts (m, dim) -> `count` centres of each."""
    image_centres, image_shares = _clusters(images, count, seed)
    text_centres, text_shares = _clusters(texts, count, seed)
    return HubCentres(text_centres, text_shares, image_centres, image_shares)


def _embedded(encoder: Encoder, dataset: Dataset, rng: np.random.Generator) -> tuple[F32, F32]:
    """Unit vectors of a random sample of a train split's captioned images and of their captions."""
    rows = [row for row in dataset.split("train") if row.captions]
    images = [rows[n] for n in sorted(rng.permutation(len(rows))[:MAX_IMAGES])]
    captions = [caption for row in rows for caption in row.captions]
    texts = [captions[n] for n in rng.permutation(len(captions))[:MAX_TEXTS]]
    return embed_images(encoder, dataset, images), embed_texts(encoder, texts)


def _clusters(vectors: F32, count: int, seed: int) -> tuple[F32, F32]:
    """(n, dim) -> k-means centres (count, dim) and the share of vectors nearest to each (count,)."""
    means = faiss.Kmeans(
        vectors.shape[1], count, niter=KMEANS_ITERATIONS, seed=seed, min_points_per_centroid=1
    )
    means.train(vectors)
    _, nearest = means.index.search(vectors, 1)
    shares = np.bincount(nearest[:, 0], minlength=count) / len(vectors)
    return np.array(means.centroids), shares.astype(np.float32)


if __name__ == "__main__":
    add_hub_centres(Path(sys.argv[1]), sys.argv[2:])
