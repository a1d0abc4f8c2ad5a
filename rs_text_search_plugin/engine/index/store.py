"""The index folder: all embeddings of one raster for one encoder on one lattice.

request.json          written first: what is being made (see meta.py)
part-00000.parquet    GeoParquet, each written whole and renamed; a part present is a part done
meta.json             written last: the index is complete
vectors-*, ids-*      caches for searching, made again when absent (see cache.py)
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.contracts.arrays import F32, I32, I64
from rs_text_search_plugin.contracts.errors import IndexMismatch, IndexStoreError
from rs_text_search_plugin.engine.raster.network import is_followed
from rs_text_search_plugin.engine.raster.sources import absolute, is_named
from rs_text_search_plugin.models.files import cache_folder

from . import cache, grid
from .gathering import Gathered, gather
from .meta import Meta, raster_changed, read_meta
from .parts import part_name

SUFFIX = ".rsidx"


def index_folder(source: str | Path, out: str | Path | None = None) -> Path:
    """Where a raster's index lies: `out`, else beside it, else in the user's cache when that is read-only."""
    if out:
        return Path(out)
    name = re.sub(r"[^\w.-]+", "_", Path(str(source)).name) + SUFFIX
    if not is_named(source):
        beside = Path(f"{absolute(source)}{SUFFIX}")
        if beside.exists() or os.access(beside.parent, os.W_OK):
            return beside
    digest = hashlib.sha256(absolute(source).encode()).hexdigest()[:12]
    return cache_folder("indexes") / f"{digest}-{name}"


class Index:
    """An index opened for searching. Rows are in the order of tile ids."""

    def __init__(self, folder: Path, meta: Meta, earlier: Index | None = None) -> None:
        self.folder = folder
        self.meta = meta
        self._earlier = earlier

    @cached_property
    def ids(self) -> I64:
        """(n,) ascending."""
        return self._ids_and_vectors[0]

    @cached_property
    def vectors(self) -> F32:
        """(n, dim) unit length, memory-mapped when the folder can hold the cache."""
        return self._ids_and_vectors[1]

    @cached_property
    def windows(self) -> I32:
        """(n, 4) x, y, width, height in px."""
        return self.meta.tiling.windows(self.ids)

    def position(self, tile: int) -> int:
        """Row of a tile id. Raises IndexStoreError when the index does not hold it."""
        found = int(np.searchsorted(self.ids, tile))
        if found == len(self.ids) or self.ids[found] != tile:
            raise IndexStoreError(f"{self.folder} has no tile {tile}.", "Search again; the index was remade.")
        return found

    def corners(self, positions: I64) -> npt.NDArray[np.float64]:
        """(k,) rows -> (k, 4, 2) footprints in the raster's CRS, clockwise from the upper left."""
        return grid.tile_corners(self.meta.transform, self.windows[positions])

    def require(self, fingerprint: str) -> None:
        """Raises IndexMismatch when made with another encoder, or when the raster has changed since."""
        if fingerprint != self.meta.fingerprint:
            raise IndexMismatch(
                f"{self.folder.name} was made with another version of the model “{self.meta.model}”.",
                "Index the raster again (--restart), or search with the model it was made with.",
            )
        if raster_changed(self.meta):
            raise IndexMismatch(
                f"{self.meta.source} has changed since it was indexed.", "Index it again (--restart)."
            )

    @cached_property
    def stamp(self) -> str:
        """Names the caches that belong to these very parts. Raises IndexStoreError when one is missing."""
        try:
            return cache.stamp(part_files(self.folder, self.meta), self.meta)
        except OSError as error:
            raise IndexStoreError(
                f"{error.filename} is missing.", "Index the raster again with --resume."
            ) from error

    @cached_property
    def gathered(self) -> Gathered:
        """What is done of an unfinished index; only parts that came since it was opened earlier are read."""
        earlier, self._earlier = self._earlier, None
        before = earlier.gathered if earlier and earlier.meta == self.meta else None
        return gather(part_files(self.folder, self.meta), self.meta, before)

    @cached_property
    def _ids_and_vectors(self) -> tuple[I64, F32]:
        if not self.meta.complete:
            return self.gathered.ids, self.gathered.vectors
        found = cache.load_vectors(self.folder, self.stamp, self.meta)
        if found is None:
            ids, vectors = read_vectors(self.folder, self.meta)
            found = ids, cache.save_vectors(self.folder, self.stamp, ids, vectors)
        return found


def read_vectors(folder: Path, meta: Meta) -> tuple[I64, F32]:
    """All parts -> ids (n,) ascending and vectors (n, dim). Raises IndexStoreError for a damaged part."""
    found = gather(part_files(folder, meta), meta)
    return found.ids, found.vectors


def part_files(folder: Path, meta: Meta) -> list[Path]:
    """The parts a complete index must have, or those an unfinished one has so far."""
    if meta.complete:
        return [folder / part_name(number) for number in meta.parts]
    return sorted(folder.glob("part-*.parquet"))


def holds_index(folder: Path) -> bool:
    """Whether a folder holds an index, finished or not."""
    return (folder / "meta.json").is_file() or (folder / "request.json").is_file()


def open_index(folder: str | Path, earlier: Index | None = None) -> Index:
    """An index by its folder; one that is unfinished holds what is done. `earlier` is what was opened there before.

    Raises IndexStoreError."""
    path = Path(folder)
    return Index(path, found_raster(path, read_meta(path)), earlier)


def found_raster(folder: Path, meta: Meta) -> Meta:
    """Meta whose raster is the one beside the folder, when both were moved together."""
    beside = folder.absolute().with_suffix("")
    there = is_followed(meta.source) and Path(meta.source).is_file()
    if folder.suffix != SUFFIX or there or not beside.is_file():
        return meta
    return replace(meta, source=str(beside))
