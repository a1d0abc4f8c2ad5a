"""The val images of a data set as an encoder sees them, kept under build/bench: every bench embeds them once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rs_text_search_plugin.models.evaluation.retrieval import embed_images
from rs_text_search_plugin.models.training.datasets import Dataset, Row

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.protocols import Encoder

FOLDER = Path("build/bench")


def gallery(encoder: Encoder, dataset: Dataset) -> tuple[list[Row], F32]:
    """Val rows and their unit vectors (n, dim)."""
    rows = dataset.split("val")
    kept = FOLDER / f"{dataset.name}-{encoder.fingerprint[:16]}.npy"
    if kept.is_file():
        images = np.load(kept, allow_pickle=False)
        if images.shape == (len(rows), encoder.dim):
            return rows, images
    images = embed_images(encoder, dataset, rows)
    FOLDER.mkdir(parents=True, exist_ok=True)
    np.save(kept, images)
    return rows, images
