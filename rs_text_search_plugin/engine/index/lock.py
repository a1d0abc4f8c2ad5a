"""An index folder that is being written: one process at a time, for one request at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rs_text_search_plugin.contracts.errors import IndexMismatch, IndexStoreError
from rs_text_search_plugin.models.files import UNFINISHED, written_whole

from .meta import Meta, read_meta, write_json
from .part_reader import read_part
from .store import holds_index

OWN_FILES = (
    "part-?????.parquet",
    "meta.json",
    "request.json",
    "vectors-*.npy",
    "ids-*.npy",
    "vectors-*.faiss",
    UNFINISHED,
)
"""All that --restart removes; a folder given with --out may hold a person's own files."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time works on an index; the system lets go of the lock when a process dies."""
    from filelock import FileLock, Timeout  # noqa: PLC0415

    holder = folder / ".holder"
    try:
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        who = holder.read_text("utf-8") if holder.is_file() else "another process"
        raise IndexStoreError(f"{folder} is being written by {who}.", "Wait until it is done.") from error
    except OSError as error:  # a full or read-only disk, or a link in place of the lock
        raise IndexStoreError(
            f"{folder} cannot be written: {error.strerror or error}.", "Choose another folder with --out."
        ) from error
    try:
        with suppress(OSError), written_whole(holder) as part:  # it only tells others who works here
            part.write_text(f"process {os.getpid()}", "utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def prepare(folder: Path, meta: Meta, mode: str) -> None:
    """Clear or keep what a folder holds, then leave the request there. Raises IndexMismatch, IndexStoreError."""
    if mode != "restart" and holds_index(folder):
        _same_or_raise(folder, read_meta(folder), meta)
        damaged = [file for file in folder.glob("part-*.parquet") if not _sound(file, meta)]
        for file in [*folder.glob(UNFINISHED), *(damaged and [folder / "meta.json", *damaged])]:
            file.unlink(missing_ok=True)
    else:
        for pattern in OWN_FILES:
            for file in folder.glob(pattern):
                file.unlink()
    write_json(folder / "request.json", meta)


def _same_or_raise(folder: Path, there: Meta, meta: Meta) -> None:
    if there.key == meta.key:
        return
    way_out = "Index it anew with --restart, or choose another folder with --out."
    if there.probe != meta.probe or (there.width, there.height) != (meta.width, meta.height):
        raise IndexMismatch(f"{meta.source} has changed since {folder.name} was begun.", way_out)
    if there.fingerprint != meta.fingerprint:
        raise IndexMismatch(f"{folder} was made with another model, “{there.model}”.", way_out)
    raise IndexMismatch(f"{folder} was made with other tiles, bands, overlap or area.", way_out)


def _sound(file: Path, meta: Meta) -> bool:
    """Whether a part can be read and belongs to this request."""
    try:
        read_part(file, meta, whole=True)
    except IndexStoreError:
        return False
    return True
