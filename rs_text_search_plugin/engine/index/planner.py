"""A raster into an index: strips -> tiles -> batches -> part files, resumable at every part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.contracts.errors import IndexStoreError, RasterError
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.raster.network import is_followed, remember
from rs_text_search_plugin.engine.raster.reader import Raster, open_raster
from rs_text_search_plugin.engine.raster.sources import absolute, file_facts
from rs_text_search_plugin.engine.search.area import Area
from rs_text_search_plugin.models import registry
from rs_text_search_plugin.models.files import make_private_folder
from rs_text_search_plugin.version import VERSION

from .grid import Lattice, lattice, tile_corners
from .levels import UNDERSTOOD_M, Levels, level_count
from .lock import locked
from .meta import Meta
from .replacement import begin, finish
from .store import index_folder
from .writer import IndexReport, IndexWriter

MIN_TILE_PX = 32
ROW_BYTES = 64
"""A part's columns beside the embedding, compressed."""


@dataclass(frozen=True)
class IndexOptions:
    """How to tile: side in px or in metres on the ground, overlap 0-0.9, bands from 1, an area to keep to."""

    tile_px: int | None = None
    tile_m: float | None = None
    overlap: float = 0.0
    levels: int | None = 1
    """How many, each of twice the side of the one before; None: as many as the model understands."""
    bands: tuple[int, ...] | None = None
    area: dict[str, Any] | None = None
    area_crs: str | None = None
    out: Path | None = None
    mode: str = "auto"


@dataclass(frozen=True)
class Plan:
    """What indexing would make; `bytes` is an estimate."""

    tiles: int
    rows: int
    cols: int
    tile_px: tuple[int, int]
    tile_m: float | None
    gsd_m: float | None
    bytes: int
    index: Path
    badges: tuple[str, ...]
    levels: int


def plan(source: str, options: IndexOptions, encoder: Encoder) -> Plan:
    """What `index` would do, without doing it. Raises RasterError."""
    with open_raster(source, options.bands) as raster:
        return plan_raster(raster, options, encoder)


def plan_raster(raster: Raster, options: IndexOptions, encoder: Encoder) -> Plan:
    """The same for a raster that is open already."""
    made = tiling(raster, options, encoder)
    grid, tiles = made.finest, int(_wanted(raster, made, options).sum())
    return Plan(
        tiles=tiles,
        rows=grid.rows,
        cols=grid.cols,
        tile_px=(grid.tile_w, grid.tile_h),
        tile_m=None if raster.pixel_m is None else grid.tile_h * raster.pixel_m[1],
        gsd_m=raster.gsd_m,
        bytes=tiles * (2 * encoder.dim + ROW_BYTES) + tiles * 4 * encoder.dim,
        index=index_folder(raster.source, options.out),
        badges=tuple(raster.badges),
        levels=made.count,
    )


def tiling(raster: Raster, options: IndexOptions, encoder: Encoder) -> Levels:
    """The tiles a raster gets. Raises RasterError when they do not fit or are too small to show anything."""
    understood = ground_range(encoder.name)
    finest = finest_lattice(raster, options, encoder.size, understood[0] if options.levels is None else 0.0)
    tile_m = None if raster.pixel_m is None else finest.tile_h * raster.pixel_m[1]
    return Levels(finest, level_count(finest, options.levels, tile_m, understood))


def ground_range(model: str) -> tuple[float, float]:
    """The ground side of tiles that a model understands, m: as its registry entry says, else the usual range."""
    least, most = registry.entries().get(model, {}).get("understood_m", UNDERSTOOD_M)
    return float(least), float(most)


def finest_lattice(raster: Raster, options: IndexOptions, encoder_size: int, least_m: float = 0.0) -> Lattice:
    """Level 0: tiles square on the ground, the encoder's input size when nothing is said, but at least `least_m`."""
    size_x, size_y = raster.pixel_m or (1.0, 1.0)
    if options.tile_m is not None:
        if raster.pixel_m is None:
            raise RasterError(
                f"{raster.source} has no CRS, so metres mean nothing.", "Give --tile-px instead."
            )
        side = options.tile_m
    else:
        side = (options.tile_px or encoder_size) * max(size_x, size_y)
        if options.tile_px is None and raster.pixel_m is not None:
            side = max(side, least_m)
    tile_w, tile_h = max(1, round(side / size_x)), max(1, round(side / size_y))
    if options.tile_px is None and options.tile_m is None:
        shrink = min(1.0, raster.width / tile_w, raster.height / tile_h)
        tile_w, tile_h = int(tile_w * shrink + 1e-6), int(tile_h * shrink + 1e-6)
    if min(raster.width, raster.height) < MIN_TILE_PX:
        raise RasterError(
            f"{raster.source} has only {raster.width} x {raster.height} px; a tile needs at least {MIN_TILE_PX}.",
            "Choose a raster with more pixels.",
        )
    if min(tile_w, tile_h) < MIN_TILE_PX:
        raise RasterError(
            f"A tile of {tile_w} x {tile_h} px is too small to show anything; {MIN_TILE_PX} px is the least.",
            "Choose larger tiles.",
        )
    return lattice(raster.width, raster.height, tile_w, tile_h, options.overlap)


def decimation(grid: Lattice, encoder_size: int) -> int:
    """Read at 1/n of the resolution, so that a tile is still at least as large as the encoder's input."""
    return max(1, min(grid.tile_w, grid.tile_h) // encoder_size)


def index(
    source: str,
    encoder: Encoder,
    options: IndexOptions,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Embed every tile of a raster into its index folder; parts that are there already are kept.

    Raises RasterError, IndexMismatch when the folder holds another index, IndexStoreError when another
    process works on it, Cancelled after keeping what is done.
    """
    with open_raster(source, options.bands) as raster:
        return index_raster(raster, encoder, options, progress, cancelled)


def index_raster(
    raster: Raster,
    encoder: Encoder,
    options: IndexOptions,
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
) -> IndexReport:
    """The same for a raster that is open already."""
    made = tiling(raster, options, encoder)
    wanted = _wanted(raster, made, options)
    meta = _request(raster, encoder, options, made, int(wanted.sum()))
    folder = _made(index_folder(raster.source, options.out))
    if raster.address or not is_followed(meta.source):
        remember(meta.source)
    with locked(folder):
        place = begin(folder, meta, options.mode)
        report = IndexWriter(place, meta, raster, encoder, wanted).run(progress, cancelled)
        finish(folder)
        return replace(report, index=folder)


def _made(folder: Path) -> Path:
    """The folder, there now. Raises IndexStoreError."""
    try:
        make_private_folder(folder)
    except OSError as error:
        message = f"{folder} cannot be made: {error.strerror}."
        raise IndexStoreError(message, "Choose another folder with --out.") from error
    return folder


def _request(raster: Raster, encoder: Encoder, options: IndexOptions, made: Levels, planned: int) -> Meta:
    size, mtime, probe = file_facts(raster.source)
    return Meta(
        source=absolute(raster.source),
        size=size,
        mtime=mtime,
        probe=probe,
        crs=raster.crs,
        transform=raster.transform,
        width=raster.width,
        height=raster.height,
        bands=raster.bands,
        stretch=raster.stretch(),
        gsd_m=raster.gsd_m,
        badges=tuple(raster.badges),
        lattice=made.finest,
        levels=made.count,
        planned=planned,
        overlap=options.overlap,
        area=options.area,
        area_crs=options.area_crs,
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        dim=encoder.dim,
        factor=decimation(made.finest, encoder.size),
        version=VERSION,
    )


def _wanted(raster: Raster, made: Levels, options: IndexOptions) -> npt.NDArray[np.bool_]:
    """(tiles,) whether each tile of all levels meets the area asked for. Raises RasterError when none does."""
    if options.area is None:
        return np.ones(len(made), dtype=bool)
    corners = tile_corners(raster.transform, made.windows(np.arange(len(made))))
    wanted = Area(options.area, options.area_crs).intersects(corners, raster.crs)
    if not wanted.any():
        raise RasterError(f"The area lies outside {raster.source}.", "Choose an area that meets the raster.")
    return wanted
