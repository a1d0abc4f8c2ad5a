"""Files of this program: each written whole or not at all, and one folder for what can be made again."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "RS_TEXT_SEARCH_CACHE"
UNFINISHED = ".unfinished-*"
"""Names of files that a process left behind when it was killed while writing."""


def cache_folder(kind: str) -> Path:
    """This user's folder for downloads and other things of one kind that can be made again.

    It lies in $RS_TEXT_SEARCH_CACHE, else where the system keeps caches. It need not exist yet.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    root = Path(chosen) if chosen else platformdirs.user_cache_path("rs-text-search", appauthor=False)
    return root / kind


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it, that only this user can enter; one that exists stays as it is.

    Raises OSError.
    """
    if not folder.parent.exists():
        make_private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def written_whole(file: Path, *, private: bool = True) -> Iterator[Path]:
    """A new empty file beside `file` to write to; it is flushed to the disk and takes `file`'s place at the end.

    Its name is random and it is made afresh, so no link that lies in the folder is followed. When the block
    fails it is removed and `file` stays as it was. `private`: only this user can read it. Raises OSError.
    """
    part = file.with_name(f"{UNFINISHED[:-1]}{secrets.token_hex(8)}-{file.name}")
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if private else 0o666))
    try:
        yield part
        move_whole(part, file)
    finally:
        part.unlink(missing_ok=True)


def move_whole(part: Path, file: Path) -> None:
    """Give a file that is complete the name of the one it replaces; its bytes reach the disk first."""
    with part.open("r+b") as written:
        os.fsync(written.fileno())
    part.replace(file)
