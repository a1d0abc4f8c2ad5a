"""What an index is made of and from: the record that is written before the first part and after the last."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from rs_text_search_plugin.contracts.decode import decode
from rs_text_search_plugin.contracts.encode import encode
from rs_text_search_plugin.contracts.errors import IndexStoreError, ProtocolError
from rs_text_search_plugin.contracts.fields import Count, Json, Range
from rs_text_search_plugin.contracts.operations.indexing import Unreadable
from rs_text_search_plugin.engine.raster.crs import is_plain
from rs_text_search_plugin.engine.raster.network import is_followed
from rs_text_search_plugin.engine.raster.sampling import Stretch
from rs_text_search_plugin.engine.raster.sources import file_facts, is_named
from rs_text_search_plugin.models.files import written_whole

from .grid import MAX_TILES, Lattice, Pixels, Transform
from .levels import MOST_LEVELS, Levels

MAX_BYTES = 64_000_000
"""A larger record is none of ours; a million unreadable tiles fit into it."""
MAX_DEPTH = 12
"""GeoJSON nests lists and objects six deep."""
MODEL_NAME = re.compile(r"[\w-][\w. -]{0,99}")
Bands = Annotated[tuple[Annotated[int, Range(1, 1e6)], ...], Range(1, 3)]


@dataclass(frozen=True)
class Meta:
    """What an index is made of and from. `crs` is WKT2 or None; `gsd_m` m/px; `probe` a digest of the file."""

    source: str
    size: Count
    mtime: float
    probe: str
    crs: str | None
    transform: Transform
    width: Pixels
    height: Pixels
    bands: Bands
    stretch: Annotated[Stretch, Range(1, 3)]
    gsd_m: float | None
    badges: Annotated[tuple[str, ...], Range(0, 20)]
    lattice: Lattice
    planned: Count
    """Tiles of the lattice that were asked for: all, or those that meet the area."""
    overlap: Annotated[float, Range(0, 0.9)]
    area: Json | None
    area_crs: str | None
    model: str
    fingerprint: str
    dim: Annotated[int, Range(1, 16_384)]
    factor: Pixels
    """Tiles are read at 1/factor of the resolution."""
    version: str
    levels: Annotated[int, Range(1, MOST_LEVELS)] = 1
    """Levels of tiles; `lattice` and `factor` are those of the finest."""
    complete: bool = False
    parts: Annotated[tuple[Count, ...], Range(0, MAX_TILES)] = ()
    """Numbers of the part files, ascending, once complete."""
    empty: Count = 0
    unreadable: Annotated[tuple[Unreadable, ...], Range(0, MAX_TILES)] = ()

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


def read_meta(folder: Path) -> Meta:
    """The Meta of a finished or unfinished index. Raises IndexStoreError."""
    for name in ("meta.json", "request.json"):
        file = folder / name
        if file.is_file():
            try:
                return meta_from(read_json(file))
            except (OSError, ValueError, RecursionError, ProtocolError) as error:
                raise IndexStoreError(
                    f"{file} is damaged: {error}", "Index the raster again with --restart."
                ) from error
    raise IndexStoreError(f"There is no index at {folder}.", "Make it with `rs-text-search index RASTER`.")


def read_json(file: Path) -> Json:
    """A record as `write_json` wrote it. Raises ValueError, also when its checksum is not that of its values."""
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    values = json.loads(file.read_bytes())
    if not isinstance(values, dict):
        raise ValueError("it holds no JSON object")
    return unsealed(values)


def write_json(file: Path, meta: Meta) -> None:
    """Written whole or not at all, with a checksum. Raises IndexStoreError."""
    try:
        with written_whole(file) as part:
            part.write_text(json.dumps(sealed(encode(meta)), indent=1), "utf-8")
    except OSError as error:
        raise IndexStoreError(
            f"{file} cannot be written: {error.strerror or error}.",
            "Make room, then index again: what is done is kept.",
        ) from error


def sealed(values: Json) -> Json:
    """The same with a checksum over all values."""
    return {**values, "checksum": _checksum(values)}


def unsealed(values: Json) -> Json:
    """The same without its checksum; records of version 0.1.0 have none. Raises ValueError when it is wrong."""
    rest = {name: value for name, value in values.items() if name != "checksum"}
    if "checksum" in values and values["checksum"] != _checksum(rest):
        raise ValueError("its checksum is wrong")
    return rest


def _checksum(values: Json) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def meta_from(values: Json) -> Meta:
    """Meta of its JSON form. Raises ProtocolError for a wrong type or range, ValueError for what does not fit."""
    if _depth(values) > MAX_DEPTH:
        raise ValueError(f"it nests more than {MAX_DEPTH} deep")
    meta = decode(Meta, values, "It")
    for holds, wrong in _checks(meta):
        if not holds:
            raise ValueError(wrong)
    return meta


def _checks(meta: Meta) -> list[tuple[bool, str]]:
    """What must hold between the values of a record, and what is said otherwise."""
    grid, coarsest = meta.lattice, meta.tiling.lattices[-1]
    ascending = list(meta.parts) == sorted(set(meta.parts))
    plain = all(crs is None or is_plain(crs) for crs in (meta.crs, meta.area_crs))
    return [
        ((grid.width, grid.height) == (meta.width, meta.height), "its lattice is of another raster"),
        (
            coarsest.tile_w <= grid.width and coarsest.tile_h <= grid.height,
            "its tiles are larger than the raster",
        ),
        (grid.step_x <= grid.tile_w and grid.step_y <= grid.tile_h, "its tiles leave gaps"),
        (len(grid) <= MAX_TILES, f"it has more than {MAX_TILES:,} tiles"),
        (meta.planned <= len(meta.tiling), "it plans more tiles than its lattice has"),
        (meta.factor <= min(grid.tile_w, grid.tile_h), "its tiles are smaller than a pixel"),
        (len(meta.stretch) in {1, len(meta.bands)}, "its stretch is not one of its bands"),
        (ascending, "its parts are not in order"),
        (plain, "its CRS is neither WKT nor an authority's code"),
        (bool(MODEL_NAME.fullmatch(meta.model)) and not meta.model.endswith(FILES), "its model is no name"),
    ]


FILES = (".toml", ".safetensors")
"""A model is looked up by name among those of the plugin and of this user, never opened by a path."""


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def raster_changed(meta: Meta) -> bool:
    """Whether the raster is there and is not the one that was indexed; a copy with a new mtime still is."""
    path = Path(meta.source)
    if is_named(meta.source) or not is_followed(meta.source) or not path.is_file():
        return False
    info = path.stat()
    if (info.st_size, info.st_mtime) == (meta.size, meta.mtime):
        return False
    return info.st_size != meta.size or file_facts(meta.source)[2] != meta.probe
