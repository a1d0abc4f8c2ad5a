"""Feature maps of the frozen backbone, computed once for several augmentations of every image, so that an epoch of
training takes seconds.

One memory-mapped array pair a dataset: `NAME.last.npy` (augmentations, rows, GRID_CELLS, 1024) and
`NAME.middle.npy` (augmentations, rows, GRID_CELLS, 512), fp16. Number 0 is the image without augmentation. The
numbers that are complete stand in `NAME.done`, from which a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rs_text_search_plugin.models.layers.resnet50v2 import CHANNELS
from rs_text_search_plugin.models.systems.base import GRID_CELLS, Maps

from rs_text_search_plugin.contracts.arrays import F16, U8
from rs_text_search_plugin.contracts.errors import ModelError

from .augment import augmented, resized_image
from .datasets import Dataset
from .pairs import Item

FeatureExtractor = Callable[[torch.Tensor], Maps]
"""Tiles (B, S, S, 3) uint8 -> Maps."""
BATCH = 64
ROWS_PER_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class CachedFeatures:
    """Of one dataset, memory-mapped: (augmentations, rows, GRID_CELLS, 512) and (..., 1024)."""

    middle: F16
    last: F16

    @property
    def augmentations(self) -> int:
        """How many there are of each image."""
        return len(self.last)


class CachedMaps:
    """A MapSource: a random cached augmentation of each image."""

    def __init__(self, features: Sequence[CachedFeatures]) -> None:
        self.features = features

    def read(self, items: Sequence[Item], rng: np.random.Generator) -> tuple[F16, F16]:
        """Middle and last maps of the images, as they lie on disk."""
        found = [(self.features[item.dataset], item.row) for item in items]
        picks = [(features, int(rng.integers(features.augmentations)), row) for features, row in found]
        middle = np.stack([features.middle[number, row] for features, number, row in picks])
        return middle, np.stack([features.last[number, row] for features, number, row in picks])

    def maps(self, read: tuple[F16, F16]) -> Maps:
        """What was read, as tensors."""
        return Maps(*map(torch.from_numpy, read))

    def unchanged(self, rows: Sequence[int]) -> Iterator[Maps]:
        """Maps of rows of the first dataset without augmentation, in batches."""
        first = self.features[0]
        for start in range(0, len(rows), ROWS_PER_EVALUATION_BATCH):
            chosen = list(rows[start : start + ROWS_PER_EVALUATION_BATCH])
            yield self.maps((first.middle[0, chosen], first.last[0, chosen]))


def fill(
    extract: FeatureExtractor, data: Dataset, augmentations: int, folder: Path, log: Callable[[str], None]
) -> CachedFeatures:
    """Compute the augmentations that `folder` does not have yet and open them all. Raises ModelError when what is
    there belongs to other data."""
    done = folder / f"{data.name}.done"
    complete = set(done.read_text().split()) if done.exists() else set()
    features = _open(data, augmentations, folder)
    for number in range(augmentations):
        if str(number) in complete:
            continue
        for start, maps in _extract_augmentation(extract, data, number):
            features.middle[number, start : start + len(maps.middle)] = maps.middle.half().cpu().numpy()
            features.last[number, start : start + len(maps.last)] = maps.last.half().cpu().numpy()
        with done.open("a") as file:
            file.write(f"{number}\n")
        log(f"features of {data.name}: augmentation {number + 1} of {augmentations}")
    return features


def _extract_augmentation(
    extract: FeatureExtractor, data: Dataset, number: int
) -> Iterator[tuple[int, Maps]]:
    """First row and maps of each batch; the next batch is read meanwhile."""

    def batch(start: int) -> U8:
        rng = np.random.default_rng((number, start))
        images = [data.images.read(row.image) for row in data.rows[start : start + BATCH]]
        return np.stack([augmented(image, rng) if number else resized_image(image) for image in images])

    with ThreadPoolExecutor(1) as reader, torch.inference_mode():
        upcoming = reader.submit(batch, 0)
        for start in range(0, len(data.rows), BATCH):
            tiles = upcoming.result()
            upcoming = reader.submit(batch, min(start + BATCH, len(data.rows) - 1))
            yield start, extract(torch.from_numpy(tiles))


def _open(data: Dataset, augmentations: int, folder: Path) -> CachedFeatures:
    middle, last = (
        _mapped(
            folder / f"{data.name}.{name}.npy", (augmentations, len(data.rows), GRID_CELLS, CHANNELS[stage])
        )
        for name, stage in (("middle", 1), ("last", 2))
    )
    return CachedFeatures(middle, last)


def _mapped(path: Path, shape: tuple[int, ...]) -> F16:
    if not path.exists():
        return np.lib.format.open_memmap(path, "w+", np.float16, shape)
    found = np.lib.format.open_memmap(path, "r+")
    if found.shape[1:] != shape[1:] or len(found) < shape[0]:
        raise ModelError(f"{path} was made from other data or settings.", "Choose another folder for --out.")
    return found[: shape[0]]
