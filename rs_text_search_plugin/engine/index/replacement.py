"""A new index beside the old one in the same folder: the old one is searched until the new one is complete."""

from __future__ import annotations

import shutil
from pathlib import Path

from rs_text_search_plugin.contracts.errors import IndexStoreError
from rs_text_search_plugin.models.files import make_private_folder

from .lock import OWN_FILES, prepare
from .meta import Meta, read_meta

NEW = ".new"
"""Folder inside the index's own, so that its files need only be renamed."""


def begin(folder: Path, meta: Meta, mode: str) -> Path:
    """Where to write the index that `meta` asks for: `folder` itself, or beside the complete index that it holds.

    What an earlier run left of the same replacement is kept. Raises IndexMismatch, IndexStoreError."""
    finish(folder)
    if mode != "restart" or not _complete(folder):
        prepare(folder, meta, mode)
        return folder
    new = folder / NEW
    make_private_folder(new)
    prepare(new, meta, "auto" if _begun(new, meta) else "restart")
    return new


def finish(folder: Path) -> None:
    """Put a replacement in the place of the old index if it is complete; also after a crash in the middle."""
    new = folder / NEW
    if not _complete(new):
        return
    # the request first: without it the old files are gone; meta.json last: until then this can be finished
    fresh = sorted(_files(new), key=lambda file: (file.name == "meta.json", file.name != "request.json"))
    if (new / "request.json").is_file():
        for file in _files(folder):
            file.unlink()
    for file in fresh:
        file.replace(folder / file.name)
    shutil.rmtree(new)


def _files(folder: Path) -> list[Path]:
    return [file for pattern in OWN_FILES for file in folder.glob(pattern)]


def _complete(folder: Path) -> bool:
    try:
        return (folder / "meta.json").is_file() and read_meta(folder).complete
    except IndexStoreError:
        return False


def _begun(folder: Path, meta: Meta) -> bool:
    try:
        return (folder / "request.json").is_file() and read_meta(folder).key == meta.key
    except IndexStoreError:
        return False
