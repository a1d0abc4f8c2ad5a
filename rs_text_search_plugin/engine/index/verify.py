"""Whether an index is whole: every part read and checked, the record against the parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rs_text_search_plugin.contracts.errors import IndexStoreError
from rs_text_search_plugin.contracts.operations.indexing import Problem, VerifyAnswer

from .meta import Meta, raster_changed, read_meta
from .part_reader import read_note, read_part
from .store import found_raster, part_files

AGAIN = "Index the raster again with --resume: what is damaged is made anew, the rest is kept."


def verify(folder: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> VerifyAnswer:
    """Read all of an index and say what is wrong with it. Raises nothing but what `progress` raises."""
    try:
        meta = found_raster(folder, read_meta(folder))
    except IndexStoreError as error:
        return VerifyAnswer(str(folder), False, 0, 0, (Problem(str(folder), error.message),), error.hint)
    files, tiles, problems = part_files(folder, meta), 0, list[Problem]()
    for done, file in enumerate(files, start=1):
        found = _problem(file, meta)
        problems += [found] if found else []
        tiles += 0 if found else read_note(file).tiles
        progress(done, len(files))
    problems += _of_the_whole(folder, meta, tiles) if not problems else []
    return VerifyAnswer(
        str(folder), not problems, len(files), tiles, tuple(problems), AGAIN if problems else ""
    )


def _problem(file: Path, meta: Meta) -> Problem | None:
    if not file.is_file():
        return Problem(str(file), f"{file} is missing.")
    try:
        read_part(file, meta, whole=True)
    except IndexStoreError as error:
        return Problem(str(file), error.message)
    return None


def _of_the_whole(folder: Path, meta: Meta, tiles: int) -> list[Problem]:
    """What is wrong although every part is sound."""
    found = []
    if not meta.complete:
        found.append(f"The index is unfinished: {tiles:,} of {meta.planned:,} tiles are done.")
    elif tiles + meta.empty + len(meta.unreadable) != meta.planned:
        found.append(f"{meta.planned:,} tiles were planned, and its parts account for fewer or more.")
    if raster_changed(meta):
        found.append(f"{meta.source} has changed since it was indexed.")
    return [Problem(str(folder), message) for message in found]
