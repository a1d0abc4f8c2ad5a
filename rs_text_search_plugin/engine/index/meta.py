"""What an index is made of and from: the record that is written before the first part and after the last."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rs_text_search_plugin.contracts.errors import IndexStoreError
from rs_text_search_plugin.engine.raster.reader import Stretch
from rs_text_search_plugin.engine.raster.sources import file_facts, is_named
from rs_text_search_plugin.models.files import written_whole

from .grid import Lattice, Transform
from .levels import Levels


@dataclass(frozen=True)
class Meta:
    """What an index is made of and from. `crs` is WKT2 or None; `gsd_m` m/px; `probe` a digest of the file."""

    source: str
    size: int
    mtime: float
    probe: str
    crs: str | None
    transform: Transform
    width: int
    height: int
    bands: tuple[int, ...]
    stretch: Stretch
    gsd_m: float | None
    badges: tuple[str, ...]
    lattice: Lattice
    planned: int
    """Tiles of the lattice that were asked for: all, or those that meet the area."""
    overlap: float
    area: dict[str, Any] | None
    area_crs: str | None
    model: str
    fingerprint: str
    dim: int
    factor: int
    """Tiles are read at 1/factor of the resolution."""
    version: str
    levels: int = 1
    """Levels of tiles; `lattice` and `factor` are those of the finest."""
    complete: bool = False
    parts: tuple[int, ...] = ()
    """Numbers of the part files, once complete."""
    empty: int = 0
    unreadable: tuple[dict[str, Any], ...] = ()

    @cached_property
    def tiling(self) -> Levels:
        """All tiles, those of every level."""
        return Levels(self.lattice, self.levels)

    @property
    def key(self) -> str:
        """Digest of everything that decides the vectors; where and when the file lay does not."""
        facts = asdict(self)
        for name in ("source", "mtime", "version", "complete", "parts", "empty", "unreadable", "badges"):
            del facts[name]
        if self.levels == 1:  # as indexes of one level were known before there were more
            del facts["levels"]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def meta_from(values: dict[str, Any]) -> Meta:
    """Meta of its JSON form."""
    made = dict(values)
    made["lattice"] = Lattice(**made["lattice"])
    made["transform"] = tuple(made["transform"])
    made["stretch"] = tuple(tuple(pair) for pair in made["stretch"])
    for name in ("bands", "badges", "parts", "unreadable"):
        made[name] = tuple(made[name])
    return Meta(**made)


def read_meta(folder: Path) -> Meta:
    """The Meta of a finished or unfinished index. Raises IndexStoreError."""
    for name in ("meta.json", "request.json"):
        file = folder / name
        if file.is_file():
            try:
                return meta_from(json.loads(file.read_text("utf-8")))
            except (ValueError, TypeError, KeyError) as error:
                raise IndexStoreError(
                    f"{file} is damaged: {error}", "Index the raster again with --restart."
                ) from error
    raise IndexStoreError(f"There is no index at {folder}.", "Make it with `rs-text-search index RASTER`.")


def write_json(file: Path, values: dict[str, Any]) -> None:
    """Written whole or not at all."""
    with written_whole(file) as part:
        part.write_text(json.dumps(values, indent=1), "utf-8")


def raster_changed(meta: Meta) -> bool:
    """Whether the raster is there and is not the one that was indexed; a copy with a new mtime still is."""
    path = Path(meta.source)
    if is_named(meta.source) or not path.is_file():
        return False
    info = path.stat()
    if (info.st_size, info.st_mtime) == (meta.size, meta.mtime):
        return False
    return info.st_size != meta.size or file_facts(meta.source)[2] != meta.probe
