"""The rows of many parts as one array; parts of an unfinished index that were read before are not read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, I64
from rs_text_search_plugin.contracts.errors import IndexStoreError

from .meta import Meta
from .part_reader import read_part


@dataclass(frozen=True)
class Gathered:
    """Ids (n,) ascending and vectors (n, dim) of some parts, with each part's size and time of change."""

    parts: Mapping[str, tuple[int, int]]
    ids: I64
    vectors: F32


def gather(files: Sequence[Path], meta: Meta, before: Gathered | None = None) -> Gathered:
    """All rows of the parts. Raises IndexStoreError when one is missing or damaged.

    `before` is what was gathered earlier of the same index; it counts as long as none of its parts has changed."""
    parts = {file.name: _facts(file) for file in files}
    if before is None or not before.parts.items() <= parts.items():
        before = Gathered({}, np.zeros(0, np.int64), np.zeros((0, meta.dim), np.float32))
    fresh = [read_part(file, meta) for file in files if file.name not in before.parts]
    ids = np.concatenate([before.ids, *(part for part, _ in fresh)])
    vectors = np.concatenate([before.vectors, *(rows for _, rows in fresh)])
    order = np.argsort(ids, kind="stable")
    return Gathered(parts, ids[order], vectors[order])


def _facts(file: Path) -> tuple[int, int]:
    try:
        info = file.stat()
    except OSError as error:
        raise IndexStoreError(f"{file} is missing.", "Index the raster again with --resume.") from error
    return info.st_size, info.st_mtime_ns
