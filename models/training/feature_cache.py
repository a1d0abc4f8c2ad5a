"""Maps of the frozen backbone, computed once for several views of every picture, so that an epoch of training
takes seconds.

One memory-mapped array pair a dataset: `NAME.last.npy` (views, rows, PLACES, 1024) and `NAME.middle.npy`
(views, rows, PLACES, 512), fp16. View 0 is the picture as it is. A view that is whole has its number in
`NAME.done`, which is what `--resume` looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rs_text_search_plugin.models.layers.resnet50v2 import CHANNELS
from rs_text_search_plugin.models.systems.base import PLACES, Maps

from rs_text_search_plugin.contracts.arrays import U8
from rs_text_search_plugin.contracts.errors import ModelError

from .augment import plain, varied
from .datasets import Dataset
from .pairs import Item

F16 = npt.NDArray[np.float16]
Look = Callable[[torch.Tensor], Maps]
BATCH = 64


@dataclass(frozen=True)
class Features:
    """What the backbone saw: memory-mapped (views, rows, PLACES, 512) and (views, rows, PLACES, 1024)."""

    middle: F16
    last: F16

    @property
    def views(self) -> int:
        """How many views there are of each picture."""
        return len(self.last)


class StoredMaps:
    """Source of maps for a trainer: a random view of each picture out of the stored ones."""

    def __init__(self, features: Sequence[Features]) -> None:
        self.features = features

    def read(self, items: Sequence[Item], rng: np.random.Generator) -> Maps:
        """Maps of the pictures, fp16 as they lie on disk."""
        found = [(self.features[item.source], item.row) for item in items]
        views = [int(rng.integers(source.views)) for source, _ in found]
        triples = list(zip(views, found, strict=True))
        return Maps(
            _stacked([source.middle[view, row] for view, (source, row) in triples]),
            _stacked([source.last[view, row] for view, (source, row) in triples]),
        )

    def maps(self, read: Maps) -> Maps:
        """What was read is what is needed."""
        return read

    def whole(self, rows: Sequence[int]) -> Iterator[Maps]:
        """Maps of rows of the first dataset, as the pictures are, 256 at a time."""
        first = self.features[0]
        for start in range(0, len(rows), 256):
            chosen = list(rows[start : start + 256])
            yield Maps(_stacked(list(first.middle[0, chosen])), _stacked(list(first.last[0, chosen])))


def compute(look: Look, data: Dataset, views: int, folder: Path, log: Callable[[str], None]) -> Features:
    """Fill in the views that `folder` does not have yet and open them all; `look` turns tiles (B, S, S, 3) into
    Maps. Raises ModelError when what is there does not fit."""
    done = folder / f"{data.name}.done"
    found = set(done.read_text().split()) if done.exists() else set()
    features = _open(data, views, folder)
    for number in range(views):
        if str(number) in found:
            continue
        for start, maps in _pass(look, data, number):
            features.middle[number, start : start + len(maps.middle)] = maps.middle.half().cpu().numpy()
            features.last[number, start : start + len(maps.last)] = maps.last.half().cpu().numpy()
        with done.open("a") as file:
            file.write(f"{number}\n")
        log(f"features of {data.name}: view {number + 1} of {views}")
    return features


def _pass(look: Look, data: Dataset, number: int) -> Iterator[tuple[int, Maps]]:
    def batch(start: int) -> U8:
        rng = np.random.default_rng((number, start))
        pictures = [data.images.read(row.image) for row in data.rows[start : start + BATCH]]
        return np.stack([varied(p, rng) if number else plain(p) for p in pictures])

    with ThreadPoolExecutor(1) as reader, torch.inference_mode():
        upcoming = reader.submit(batch, 0)
        for start in range(0, len(data.rows), BATCH):
            tiles = upcoming.result()
            upcoming = reader.submit(batch, min(start + BATCH, len(data.rows) - 1))
            yield start, look(torch.from_numpy(tiles))


def _open(data: Dataset, views: int, folder: Path) -> Features:
    middle, last = (
        _mapped(folder / f"{data.name}.{name}.npy", (views, len(data.rows), PLACES, CHANNELS[stage]))
        for name, stage in (("middle", 1), ("last", 2))
    )
    return Features(middle, last)


def _mapped(path: Path, shape: tuple[int, ...]) -> F16:
    if not path.exists():
        return np.lib.format.open_memmap(path, "w+", np.float16, shape)
    found = np.lib.format.open_memmap(path, "r+")
    if found.shape[1:] != shape[1:] or len(found) < shape[0]:
        raise ModelError(f"{path} was made from other data or settings.", "Choose another folder for --out.")
    return found[: shape[0]]


def _stacked(arrays: Sequence[F16]) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays))
