"""Files that an operation writes for a person: never over what it reads, and whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rs_text_search_plugin.contracts.errors import ExportError

if TYPE_CHECKING:
    from rs_text_search_plugin.engine.index.store import Index


def refuse_input(path: Path, indexes: Iterable[Index]) -> None:
    """Raises ExportError when a file to be written is a raster that is searched, or lies in an index."""
    for index in indexes:
        inside = path.absolute().parent.resolve() == index.folder.resolve()
        if inside or _same(path, Path(index.meta.source)):
            raise ExportError(
                f"{path} would be written over what it is made from.", "Choose another name for the output."
            )


def _same(one: Path, other: Path) -> bool:
    """Whether two paths name one file, through links too; they need not exist."""
    try:
        return one.samefile(other)
    except OSError:
        return one.absolute() == other.absolute()
