"""How it stands with an index, for `info` and for the panel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rs_text_search_plugin.contracts.errors import IndexStoreError
from rs_text_search_plugin.contracts.messages import Window

from .grid import Corners, window_corners
from .meta import Meta, raster_changed, read_meta
from .part_reader import read_note
from .parts import part_name, parts_of
from .store import SUFFIX, Index, found_raster, holds_index, index_folder, part_files


def state(name: str | Path, model: str | None = None) -> dict[str, Any]:
    """How it stands with the index of a raster, or with an index folder; the `info` of docs/protocol.md."""
    given = Path(str(name))
    folder = given if given.suffix == SUFFIX or holds_index(given) else index_folder(name)
    known: dict[str, Any] = {"source": str(name), "index": None, "state": "none", "detail": "not indexed"}
    try:
        if not holds_index(folder):
            return known
        meta = found_raster(folder, read_meta(folder))
        done = [read_note(file) for file in part_files(folder, meta) if file.is_file()]
    except (IndexStoreError, OSError) as error:
        return {**known, "index": str(folder), "state": "damaged", "detail": str(error)}
    word, detail = _word(meta, len(done), model)
    tiles = sum(note.tiles for note in done)
    return {
        "source": meta.source,
        "index": str(folder),
        "state": word,
        "detail": detail,
        "model": meta.model,
        "tiles": tiles,
        "tiles_planned": meta.planned,
        "tile_px": [meta.lattice.tile_w, meta.lattice.tile_h],
        "overlap": meta.overlap,
        "levels": meta.levels,
        "bytes": _bytes(folder),
        "crs": meta.crs,
        "footprint": outline(meta),
        "area": meta.area,
        "area_crs": meta.area_crs,
        "badges": list(meta.badges),
        "gsd_m": meta.gsd_m,
        "empty": meta.empty,
        "unreadable": list(meta.unreadable),
    }


def _bytes(folder: Path) -> int:
    """Size of all files; one that is just being renamed, as parts are while they are made, counts nothing."""
    size = 0
    for file in folder.iterdir():
        try:
            size += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
    return size


def _word(meta: Meta, done: int, model: str | None) -> tuple[str, str]:
    if raster_changed(meta):
        return "stale", "the raster has changed since it was indexed"
    if model is not None and model != meta.model:
        return "other-model", f"made with {meta.model}"
    if not meta.complete:
        return "unfinished", f"{100 * done // len(parts_of(meta.tiling, meta.factor))} % done"
    if done < len(meta.parts):
        return "damaged", f"{len(meta.parts) - done} of {len(meta.parts)} parts are missing"
    return "complete", ""


def outline(meta: Meta) -> Corners:
    """Corners of the whole raster in its CRS."""
    return window_corners(meta.transform, Window(0, 0, meta.width, meta.height))


def share_done(index: Index) -> float:
    """Share of an index's planned tiles that are done, 0-1."""
    meta = index.meta
    if meta.complete or not meta.planned:
        return 1.0
    if meta.area is not None:  # parts outside the area are never made
        return len(index.ids) / meta.planned
    names = {file.name for file in part_files(index.folder, meta)}
    parts = parts_of(meta.tiling, meta.factor)
    done = [part for part in parts if part_name(part.number) in names]
    return sum(map(len, done)) / sum(map(len, parts))
