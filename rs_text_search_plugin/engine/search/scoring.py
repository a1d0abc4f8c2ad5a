"""One query vector against every tile of an index, through faiss.

Up to EXACT_TILES the scores are one exact product over the memory-mapped matrix: nothing to build or keep.
Beyond, a half-precision faiss index (a cache file in the index folder) picks the tiles worth scoring, and
those are scored exactly: half the memory to read, no change in what is found.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, I64
from rs_text_search_plugin.engine.index import cache

if TYPE_CHECKING:
    from rs_text_search_plugin.engine.index.store import Index

EXACT_TILES = 1_000_000
SAMPLED_TILES = 10_000
MOST_CANDIDATES = 0.05
"""When more of the tiles than this pass, collecting them costs more than the exact product of all."""
ROWS_ADDED_AT_ONCE = 100_000


def all_scores(index: Index, query: F32, floor: float) -> F32:
    """(dim,) -> (n,) dot products. In a large index every tile below `floor` may be given as `floor`."""
    vectors = index.vectors
    if len(vectors) <= EXACT_TILES:
        return exact(vectors, query)
    sample = vectors[:: len(vectors) // SAMPLED_TILES]
    if float((sample @ query > floor).mean()) > MOST_CANDIDATES:
        return exact(vectors, query)
    scores = np.full(len(vectors), floor, dtype=np.float32)
    close = candidates(index, query, floor)
    scores[close] = exact(vectors[close], query)
    return scores


def exact(vectors: F32, query: F32) -> F32:
    """(n, dim) and (dim,) -> (n,) dot products."""
    import faiss  # noqa: PLC0415 - loads slowly, not needed to describe

    if not len(vectors):
        return np.zeros(0, dtype=np.float32)
    products = faiss.pairwise_distances(vectors, query[None], faiss.METRIC_INNER_PRODUCT)
    return np.asarray(products[:, 0], dtype=np.float32)


def candidates(index: Index, query: F32, floor: float) -> I64:
    """Rows whose half-precision score passes `floor`, ascending."""
    rows = _quantised(index).range_search(query[None], floor - 1e-3)[2]
    return np.sort(np.asarray(rows, dtype=np.int64))


_opened: dict[tuple[str, str], Any] = {}


def _quantised(index: Index) -> Any:
    """The index's half-precision copy: from memory, from its cache file, or built and put there."""
    key = (str(index.folder), index.stamp)
    if key in _opened:
        return _opened[key]
    path = index.folder / f"vectors-{index.stamp}.faiss"
    found = _read(path, len(index.vectors)) if cache.is_sound(path) else None
    if found is None:
        found = _build(index)
        cache.keep(path, lambda part: _write(found, part))
    _opened.clear()
    _opened[key] = found
    return found


def _read(path: Path, rows: int) -> Any:
    """The cache file, or None when it is of other tiles."""
    import faiss  # noqa: PLC0415

    try:
        found = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    except RuntimeError:  # how faiss says that a file is not its own
        return None
    return found if found.ntotal == rows else None


def _build(index: Index) -> Any:
    import faiss  # noqa: PLC0415

    kind = faiss.ScalarQuantizer.QT_fp16
    built = faiss.IndexScalarQuantizer(index.meta.dim, kind, faiss.METRIC_INNER_PRODUCT)
    for start in range(0, len(index.vectors), ROWS_ADDED_AT_ONCE):
        built.add(np.ascontiguousarray(index.vectors[start : start + ROWS_ADDED_AT_ONCE]))
    return built


def _write(built: Any, path: Path) -> None:
    """Raises OSError, where faiss says RuntimeError."""
    import faiss  # noqa: PLC0415

    try:
        faiss.write_index(built, str(path))
    except RuntimeError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
