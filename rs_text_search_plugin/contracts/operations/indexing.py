"""Requests and answers about making indexes: info, plan, index."""

from dataclasses import dataclass
from typing import Annotated, Literal, Optional

from rs_text_search_plugin.contracts.fields import Count, Json, Range, Seconds
from rs_text_search_plugin.contracts.messages import Corners, Window

DEFAULT_MODEL = "compact"
TileSize = tuple[Count, Count]
"""Width and height of a tile, px."""


@dataclass(frozen=True)
class InfoRequest:
    """The state of the index of every raster, then of every index folder; one that fails does not hide the others."""

    sources: tuple[str, ...] = ()
    """Rasters."""
    indexes: tuple[str, ...] = ()
    """Index folders."""
    model: Optional[str] = None
    """An index made with another one has the state `other-model`."""


@dataclass(frozen=True)
class Unreadable:
    """A tile whose pixels could not be read."""

    window: Window
    reason: str


@dataclass(frozen=True)
class IndexState:
    """How it stands with one index."""

    source: str
    index: Optional[str]
    """Its folder; null when there is none."""
    state: Literal["none", "complete", "unfinished", "stale", "other-model", "damaged"]
    detail: str
    """The state in a few words; empty when complete."""
    model: Optional[str] = None
    tiles: Count = 0
    tiles_planned: Count = 0
    tile_px: Optional[TileSize] = None
    overlap: float = 0.0
    levels: Count = 1
    """Levels of tiles, each of twice the side of the one before."""
    bytes: Count = 0
    crs: Optional[str] = None
    footprint: Optional[Corners] = None
    """Corners of the raster."""
    area: Optional[Json] = None
    """A GeoJSON geometry: only tiles that meet it were made; null: all."""
    area_crs: Optional[str] = None
    """Of `area`; null: the raster's own."""
    badges: tuple[str, ...] = ()
    """Remarks such as "no CRS"."""
    gsd_m: Optional[float] = None
    """Pixel size on the ground, m."""
    empty: Count = 0
    """Tiles without enough valid pixels."""
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True)
class InfoAnswer:
    """One state for each raster and folder of the request, in its order."""

    indexes: tuple[IndexState, ...]


@dataclass(frozen=True)
class VerifyRequest:
    """Reads all of an index and says what is wrong with it; nothing is changed. Progress counts files."""

    index: str
    """Its folder, or the raster that it lies beside."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file of an index."""

    file: str
    message: str


@dataclass(frozen=True)
class VerifyAnswer:
    """Whether an index is whole."""

    index: str
    """Its folder."""
    ok: bool
    parts: Count
    """Files of vectors."""
    tiles: Count
    """In the files that are sound."""
    problems: tuple[Problem, ...]
    hint: str
    """What to do about the problems; empty when there is none."""


@dataclass(frozen=True)
class PlanRequest:
    """What indexing would make and cost on this machine."""

    source: str
    """A file or address that GDAL reads."""
    model: str = DEFAULT_MODEL
    device: str = "auto"
    """`auto`, `cpu` or `cuda:N`."""
    tile_px: Optional[Annotated[int, Range(1, 1e6)]] = None
    """Side of a tile in px; without it and `tile_m` the model's input size."""
    tile_m: Optional[Annotated[float, Range(0.001, 1e9)]] = None
    """Side of a tile in metres."""
    overlap: Annotated[float, Range(0, 0.9)] = 0.0
    """Share of a tile's side that it has in common with the next."""
    levels: Optional[Annotated[int, Range(1, 6)]] = 1
    """How many levels of tiles, each of twice the side of the one before; null: as many as the model understands."""
    bands: Optional[Annotated[tuple[Annotated[int, Range(1, 1e6)], ...], Range(0, 3)]] = None
    """One or three band numbers from 1, shown as grey or as red, green and blue."""
    area: Optional[Json] = None
    """A GeoJSON geometry; only tiles that meet it are made."""
    area_crs: Optional[str] = None
    """Of `area`; null: the raster's own."""
    out: Optional[str] = None
    """The index folder; without it one beside the raster, or in the user's cache."""
    mode: Literal["auto", "resume", "restart"] = "auto"
    """`restart` begins anew, and a complete index stays until the new one is; the other two keep what is there."""
    allow_network: bool = False
    """Whether a file may take its pixels from another machine, as a VRT or WMS description can; an address given
    as `source` always may."""


@dataclass(frozen=True)
class PlanAnswer:
    """The plan."""

    tiles: Count
    rows: Count
    cols: Count
    tile_px: TileSize
    tile_m: Optional[float]
    """Side of the finest level's tile on the ground; null without CRS."""
    gsd_m: Optional[float]
    """Pixel size on the ground, m."""
    bytes: Count
    """An estimate of the index's size."""
    index: str
    """The folder it would use."""
    badges: tuple[str, ...]
    """Remarks such as "no CRS"."""
    levels: Count
    seconds: Seconds
    """An estimate for this machine."""


@dataclass(frozen=True)
class IndexRequest(PlanRequest):
    """Embeds every tile of a raster into its index folder; what is there already is kept. Progress counts tiles."""


@dataclass(frozen=True)
class IndexAnswer:
    """What was made."""

    index: str
    """Its folder."""
    tiles: Count
    empty: Count
    """Tiles without enough valid pixels."""
    unreadable: tuple[Unreadable, ...]
    tiles_per_s: Annotated[float, Range(0, 1e12)]
    complete: bool
    resumed: Count
    """Tiles that were there already."""
    seconds: Seconds
    device: str
    """Its name for people."""
