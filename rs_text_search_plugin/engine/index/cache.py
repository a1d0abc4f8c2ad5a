"""Files beside the parts that make opening and searching an index fast. They can be made again at any time: each
is tied to the very parts it was made from, and ends in a checksum of all before it."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.contracts.arrays import F32, I64
from rs_text_search_plugin.models.files import written_whole

from .meta import Meta

PATTERNS = ("vectors-*", "ids-*")
CHECKED_BYTES = 1 << 24
"""Bytes read at a time to compute a checksum."""
CHECKSUM_BYTES = 4
ROWS_CHECKED = 1 << 16


def stamp(parts: list[Path], meta: Meta) -> str:
    """Changes whenever one of the parts is written anew or replaced. Raises OSError when one is not there."""
    facts = [(part.name, info.st_size, info.st_mtime_ns) for part in parts for info in [part.stat()]]
    return hashlib.sha256(f"{meta.key} {facts}".encode()).hexdigest()[:16]


def keep(file: Path, write: Callable[[Path], object]) -> bool:
    """Let `write` write a cache file, whole or not at all; False on a full or read-only disk, which is no harm."""
    if not os.access(file.parent, os.W_OK):
        return False
    with suppress(OSError), written_whole(file) as part:
        write(part)
        with part.open("r+b") as out:
            checksum = _crc(part, part.stat().st_size)
            out.seek(0, os.SEEK_END)
            out.write(checksum)
        return True
    return False


def is_sound(file: Path) -> bool:
    """Whether a cache file is there and ends in its own checksum."""
    try:
        end = file.stat().st_size - CHECKSUM_BYTES
        with file.open("rb") as opened:
            opened.seek(max(0, end))
            return end > 0 and opened.read() == _crc(file, end)
    except OSError:
        return False


def _crc(file: Path, end: int) -> bytes:
    """CRC-32 of the first `end` bytes."""
    crc = 0
    with file.open("rb") as opened:
        while end > 0 and (block := opened.read(min(CHECKED_BYTES, end))):
            crc, end = zlib.crc32(block, crc), end - len(block)
    return crc.to_bytes(CHECKSUM_BYTES, "little")


def load_vectors(folder: Path, name: str, meta: Meta) -> tuple[I64, F32] | None:
    """Ids (n,) and vectors (n, dim), the latter memory-mapped; None when there is no cache fit to be used."""
    files = [folder / f"{kind}-{name}.npy" for kind in ("ids", "vectors")]
    if not all(map(is_sound, files)):
        return None
    try:
        ids, vectors = np.load(files[0]), np.load(files[1], mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return (ids, vectors) if _fits(ids, vectors, meta) else None


def _fits(ids: npt.NDArray[Any], vectors: npt.NDArray[Any], meta: Meta) -> bool:
    """A stranger can make a checksum, too: nothing that breaks a search gets through."""
    if ids.ndim != 1 or ids.dtype != np.dtype(np.int64) or vectors.dtype != np.dtype(np.float32):
        return False
    if vectors.shape != (len(ids), meta.dim) or len(ids) > meta.planned:
        return False
    ascending = bool((np.diff(ids) > 0).all()) and (not len(ids) or 0 <= ids[0] <= ids[-1] < len(meta.tiling))
    starts = range(0, len(ids), ROWS_CHECKED)
    return ascending and all(bool(np.isfinite(vectors[i : i + ROWS_CHECKED]).all()) for i in starts)


def save_vectors(folder: Path, name: str, ids: I64, vectors: F32) -> F32:
    """Keep both; gives the vectors memory-mapped, or as they are where there is no room for a cache."""
    clear(folder)
    files = [folder / f"{kind}-{name}.npy" for kind in ("ids", "vectors")]
    kept = all(
        keep(file, lambda part, array=array: np.save(part, array))  # type: ignore[misc]
        for file, array in zip(files, (ids, vectors), strict=True)
    )
    if not kept:
        clear(folder)
        return vectors
    mapped: F32 = np.load(files[1], mmap_mode="r")
    return mapped


def clear(folder: Path) -> None:
    """Remove caches, those of earlier parts and versions too; on a read-only disk they stay."""
    for pattern in PATTERNS:
        for file in folder.glob(pattern):
            with suppress(OSError):
                file.unlink()
