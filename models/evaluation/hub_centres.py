"""The centres that stand for training texts and pictures, from which hubs.py tells hubs.

python -m rs_text_search_plugin.models.evaluation.hub_centres FILE.safetensors JSONL[:IMAGES] ...     keeps them in FILE
"""

from __future__ import annotations

import sys
from pathlib import Path

import faiss
import numpy as np
import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.inference.encoder import Seeing, TorchEncoder
from rs_text_search_plugin.models.systems.base import INPUT_PX
from rs_text_search_plugin.models.training.datasets import open_dataset
from torch import Tensor

from rs_text_search_plugin.contracts.arrays import F32

from .hub_correction import Hubs
from .retrieval import embed_images, embed_texts

TEXTS, PICTURES = 8000, 4000
"""Training texts and pictures that are looked at, drawn at random."""
CENTRES = 128
ROUNDS = 20


def add(weights: Path, specs: list[str], seed: int = 0) -> None:
    """Find the centres of the train splits of some datasets and write them into a model's file."""
    system, place = checkpoint.load(weights), torch.device("cpu")
    system.hubs = None
    encoder = TorchEncoder(
        weights.stem, Seeing(system, place), "", dim=system.dim, size=INPUT_PX, device=place
    )
    draw = np.random.default_rng(seed)
    texts, pictures = [], []
    for dataset in map(open_dataset, specs):
        rows = [row for row in dataset.split("train") if row.captions]
        chosen = [rows[n] for n in sorted(draw.permutation(len(rows))[:PICTURES])]
        captions = [caption for row in rows for caption in row.captions]
        pictures.append(embed_images(encoder, dataset, chosen))
        texts.append(embed_texts(encoder, [captions[n] for n in draw.permutation(len(captions))[:TEXTS]]))
    system.hubs = found(np.concatenate(pictures), np.concatenate(texts), seed)
    checkpoint.save(system, checkpoint.name_of(system), weights)


def found(pictures: F32, texts: F32, seed: int = 0, centres: int = CENTRES) -> Hubs:
    """Unit vectors of training pictures (n, dim) and texts (m, dim) -> their hubs."""
    made = Hubs(pictures.shape[1], centres)
    made.images, made.image_shares = _centres(pictures, centres, seed)
    made.texts, made.text_shares = _centres(texts, centres, seed)
    return made


def _centres(vectors: F32, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """(n, dim) -> centres (count, dim) and the share of vectors that is nearest to each (count,)."""
    means = faiss.Kmeans(vectors.shape[1], count, niter=ROUNDS, seed=seed, min_points_per_centroid=1)
    means.train(vectors)
    _, nearest = means.index.search(vectors, 1)
    shares = np.bincount(nearest[:, 0], minlength=count) / len(vectors)
    centres = np.array(means.centroids)
    return torch.from_numpy(centres), torch.from_numpy(shares.astype(np.float32))


if __name__ == "__main__":
    add(Path(sys.argv[1]), sys.argv[2:])
