"""Vectors that can be made again, kept in the user's cache folder and in memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.models import files

_known: dict[str, F32] = {}


def kept(name: str, shape: tuple[int, int], make: Callable[[], F32]) -> F32:
    """The array (rows, dim) of that name, made when it is not there; the name tells all that it depends on."""
    if name not in _known:
        path = files.cache_folder("vocabulary") / f"{name}.npy"
        found = _read(path)
        if found is None or found.shape != shape:
            found = make()
            _write(path, found)
        _known[name] = found
    return _known[name]


def _read(path: Path) -> F32 | None:
    try:
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)
    except (OSError, ValueError, EOFError):  # absent or cut short: it is only a cache
        return None


def _write(path: Path, found: F32) -> None:
    with suppress(OSError):  # a home that cannot be written: make it again next time
        files.make_private_folder(path.parent)
        with files.written_whole(path) as part:
            np.save(part, found)
