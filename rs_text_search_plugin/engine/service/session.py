"""What stays loaded between operations: models, open indexes, the last results."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

import numpy as np

from rs_text_search_plugin.contracts.errors import IndexStoreError, ModelError, QueryError
from rs_text_search_plugin.contracts.operations.search import SearchAnswer
from rs_text_search_plugin.contracts.protocols import Encoder, Reranker
from rs_text_search_plugin.engine.index import store
from rs_text_search_plugin.engine.search.search import SearchResult
from rs_text_search_plugin.models import devices, registry

from .shared_encoder import SharedEncoder, shared

T = TypeVar("T")

MODELS_KEPT = 2
INDEXES_KEPT = 32
RESULTS_KEPT = 8
MARKS = ("meta.json", "request.json")
"""An index folder has the second from its beginning, and the first when it is complete."""


class Recent(Generic[T]):
    """The few values used last, for several threads; the oldest goes when there are more than `size`."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.values: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}
        """A key's lock is held while its value is made, so that nobody makes it twice or waits for another's."""

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of a key, made when it is not there."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            found = self.find(key)
            if found is None:
                found = make()
                self.put(key, found)
            return found

    def find(self, key: Hashable) -> T | None:
        """The value of a key, None when it is not there."""
        with self._lock:
            if key in self.values:
                self.values.move_to_end(key)
            return self.values.get(key)

    def put(self, key: Hashable, value: T) -> None:
        """Keep a value."""
        with self._lock:
            self.values[key] = value
            while len(self.values) > self.size:
                oldest, _ = self.values.popitem(last=False)
                self._making.pop(oldest, None)


@dataclass(frozen=True)
class HeldResult:
    """A search's result as the engine keeps it for reranking."""

    found: SearchResult
    """With the scores of all tiles and at least as many matches as are reranked."""
    indexes: tuple[store.Index, ...]
    answer: SearchAnswer
    top: int
    """How many matches were asked for."""


class Session:
    """Models and indexes that operations share; its temporary folder is removed when it ends."""

    def __init__(self) -> None:
        self.encoders: Recent[SharedEncoder] = Recent(MODELS_KEPT)
        self.rerankers: Recent[Reranker] = Recent(1)
        self.indexes: Recent[tuple[tuple[int, ...], store.Index]] = Recent(INDEXES_KEPT)
        self.results: Recent[HeldResult] = Recent(RESULTS_KEPT)
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
        return self.encoders.get((model, place), lambda: shared(registry.load(model, place)))

    def encoder_of(self, opened: Sequence[store.Index]) -> Encoder:
        """The model that all of the indexes were made with. Raises: QueryError, ModelError."""
        if not opened:
            raise QueryError("There is nothing to search in.", "Index a raster first.")
        made = {item.meta.model: item.folder.name for item in opened}
        if len(made) > 1:
            named = " and ".join(f"{folder} with {model}" for model, folder in made.items())
            hint = "Search them one after another, or index them with the same model."
            raise QueryError(f"These indexes were made with different models: {named}.", hint)
        (model,) = made
        try:
            return self.encoder(model)
        except ModelError as error:
            raise ModelError(f"{made[model]} was made with {model}. {error.message}", error.hint) from error

    def reranker(self, model: str) -> Reranker:
        """A loaded reranker. Raises: ModelError."""
        return self.rerankers.get(model, lambda: registry.load_reranker(model))

    def index(self, name: str) -> store.Index:
        """An index by its folder, or by the raster it stands beside. Raises: IndexStoreError."""
        folder = index_of(name)
        state, known = state_of(folder), self.indexes.find(folder)
        if known is None or known[0] != state:
            known = state, store.open_index(folder, known[1] if known else None)
            self.indexes.put(folder, known)
        return known[1]

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
    """Changes whenever an index is made anew or grows, or one of its files is replaced."""
    files = [*(folder / name for name in MARKS), *sorted(folder.glob("part-*.parquet"))]
    facts = [file.stat() for file in files if file.is_file()]
    return tuple(fact for info in facts for fact in (info.st_size, info.st_mtime_ns))
