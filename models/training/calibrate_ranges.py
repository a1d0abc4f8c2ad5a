"""Measure a backbone's activation ranges on training images.

    python -m rs_text_search_plugin.models.training.calibrate_ranges FILE.safetensors JSONL[:IMAGES]

adds them to FILE."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.inference.activation_ranges import measure
from rs_text_search_plugin.models.layers.resnet50v2 import ResNet50V2, network_input

from rs_text_search_plugin.contracts.arrays import U8

from .augment import resized_image
from .datasets import Dataset, open_dataset

IMAGES = 256
BATCH = 16


def add_ranges(weights: Path, data: Dataset, seed: int = 0) -> None:
    """Measure on images of the training split and add the ranges to a weight file. Raises ModelError."""
    backbone = checkpoint.load(weights).backbone
    calibrate(backbone, data, seed)
    checkpoint.replace_tensors(weights, {"backbone.activation_ranges": backbone.activation_ranges})


def calibrate(backbone: ResNet50V2, data: Dataset, seed: int = 0) -> None:
    """Measure a backbone's activation ranges on images of the training split and set them."""
    batches = (network_input(batch, backbone) for batch in _batches(data, seed))
    backbone.activation_ranges.copy_(measure(backbone, batches, seed))


def _batches(data: Dataset, seed: int) -> Iterator[U8]:
    rows = data.split("train")
    chosen = np.random.default_rng(seed).permutation(len(rows))[:IMAGES]
    for start in range(0, len(chosen), BATCH):
        names = [rows[number].image for number in chosen[start : start + BATCH]]
        yield np.stack([resized_image(data.images.read(name)) for name in names])


if __name__ == "__main__":
    add_ranges(Path(sys.argv[1]), open_dataset(sys.argv[2]))
