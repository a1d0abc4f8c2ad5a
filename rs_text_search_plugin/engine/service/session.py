"""What stays loaded between operations: models, open indexes, thumbnails already cut."""

from __future__ import annotations

import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

import numpy as np

from rs_text_search_plugin.contracts.errors import IndexStoreError
from rs_text_search_plugin.contracts.protocols import Encoder, Reranker
from rs_text_search_plugin.engine.index import store
from rs_text_search_plugin.models import devices, registry

T = TypeVar("T")

MODELS_KEPT = 2
INDEXES_KEPT = 32
MARKS = ("meta.json", "request.json")
"""An index folder has the second from its first moment on, and the first when it is complete."""


class Recent(Generic[T]):
    """The few values used last; the oldest goes when there are more than `size`."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.values: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of a key, made when it is not there."""
        if key not in self.values:
            self.values[key] = make()
        self.values.move_to_end(key)
        while len(self.values) > self.size:
            self.values.popitem(last=False)
        return self.values[key]


class Session:
    """Lends models and indexes to operations; its temporary folder goes when it ends."""

    def __init__(self) -> None:
        self.encoders: Recent[Encoder] = Recent(MODELS_KEPT)
        self.rerankers: Recent[Reranker] = Recent(1)
        self.indexes: Recent[store.Index] = Recent(INDEXES_KEPT)
        self.speeds: dict[str, float] = {}
        self.temporary = tempfile.TemporaryDirectory(prefix="rs-text-search-", ignore_cleanup_errors=True)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.temporary.cleanup()

    def folder(self, name: str) -> Path:
        """A folder that lives as long as the session."""
        path = Path(self.temporary.name) / name
        path.mkdir(exist_ok=True)
        return path

    def encoder(self, model: str = "compact", device: str = "auto") -> Encoder:
        """A loaded model. Raises: ModelError."""
        place = devices.choose_device(device).name
        return self.encoders.get((model, place), lambda: registry.load(model, place))

    def reranker(self, model: str) -> Reranker:
        """A loaded reranker. Raises: ModelError."""
        return self.rerankers.get(model, lambda: registry.load_reranker(model))

    def index(self, name: str) -> store.Index:
        """An index by its folder, or by the raster it stands beside. Raises: IndexStoreError."""
        folder = index_of(name)
        return self.indexes.get((folder, state_of(folder)), lambda: store.open_index(folder))

    def tiles_per_s(self, encoder: Encoder, batch: int = 8) -> float:
        """How fast an encoder is here: as it was when last indexing, else on two batches of noise, one to warm up."""
        if encoder.fingerprint not in self.speeds:
            noise = np.random.default_rng(0).integers(
                0, 256, (batch, encoder.size, encoder.size, 3), np.uint8
            )
            encoder.images(noise)
            start = time.perf_counter()
            encoder.images(noise)
            self.speeds[encoder.fingerprint] = batch / (time.perf_counter() - start)
        return self.speeds[encoder.fingerprint]


def index_of(name: str) -> Path:
    """The folder of the finished or unfinished index that a folder or a raster names. Raises: IndexStoreError."""
    for folder in (Path(name), store.index_folder(name)):
        if any((folder / file).is_file() for file in MARKS):
            return folder
    raise IndexStoreError(f"There is no index at {name}.", "Make it with `rs-text-search index RASTER`.")


def state_of(folder: Path) -> tuple[int, ...]:
    """Changes whenever an index is made anew or grows."""
    parts = len(list(folder.glob("part-*.parquet")))
    return parts, *(file.stat().st_mtime_ns for file in (folder / name for name in MARKS) if file.is_file())
