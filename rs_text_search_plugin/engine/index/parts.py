"""Part files: the unit of work, of writing and of resuming. Each is a GeoParquet of one block of tiles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, F64, I64
from rs_text_search_plugin.contracts.encode import encode
from rs_text_search_plugin.contracts.errors import IndexStoreError
from rs_text_search_plugin.contracts.fields import Count
from rs_text_search_plugin.contracts.operations.indexing import Unreadable
from rs_text_search_plugin.engine.output.geoparquet import SIDES, geo_header
from rs_text_search_plugin.models.files import written_whole

from .grid import Lattice, tile_corners
from .levels import Levels
from .meta import Meta, sealed

PART_TILES = (64, 1024)
"""Least and most tiles of a part, between them 1/32 of all: so much a kill -9 costs, or one row of the lattice."""
STRIP_BYTES = 256_000_000
"""Rows of pixels held at once; a wider raster is cut into panels."""


@dataclass(frozen=True)
class Part:
    """A block of one level's lattice: rows and columns, end excluded."""

    number: int
    level: int
    row: int
    row_end: int
    col: int
    col_end: int

    def __len__(self) -> int:
        return (self.row_end - self.row) * (self.col_end - self.col)

    def ids(self, tiling: Levels) -> I64:
        """Tile ids, row by row."""
        rows, cols = np.mgrid[self.row : self.row_end, self.col : self.col_end]
        ids = tiling.starts[self.level] + rows * tiling.lattices[self.level].cols + cols
        return np.asarray(ids.ravel(), dtype=np.int64)


@lru_cache(maxsize=8)
def parts_of(tiling: Levels, factor: int = 1) -> tuple[Part, ...]:
    """The parts of all levels, the finest first, read at 1/factor of the resolution. Nothing else decides them."""
    found: list[Part] = []
    for level, grid in enumerate(tiling.lattices):
        for rows, cols in _blocks(grid, factor * 2**level):
            found.append(Part(len(found), level, *rows, *cols))
    return tuple(found)


def _blocks(grid: Lattice, factor: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """(first row, end) and (first column, end) of the parts of a lattice, panel by panel."""
    column_bytes = 3 * 2 * grid.tile_h / factor**2  # RGB, and as much again for the block rows read ahead
    panel = max(1, int(STRIP_BYTES / column_bytes - grid.tile_w) // grid.step_x)
    size = min(max(len(grid) // 32, PART_TILES[0]), PART_TILES[1])
    for col in range(0, grid.cols, panel):
        end = min(col + panel, grid.cols)
        step = max(1, size // (end - col))
        for row in range(0, grid.rows, step):
            yield (row, min(row + step, grid.rows)), (col, end)


def part_name(number: int) -> str:
    """File name of a part."""
    return f"part-{number:05d}.parquet"


@dataclass(frozen=True)
class PartNote:
    """What a part says of itself: how many tiles it holds, which it left out, and the key of its request."""

    empty: Count
    """Tiles without enough valid pixels."""
    unreadable: tuple[Unreadable, ...]
    tiles: Count
    key: str


def write_part(file: Path, meta: Meta, ids: I64, vectors: F32, note: PartNote) -> None:
    """One GeoParquet file, whole or not at all. `ids` (n,), `vectors` (n, dim) of unit length.

    Raises IndexStoreError when it cannot be written.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = _table(meta, ids, vectors, note)
    try:
        with written_whole(file) as part:
            pq.write_table(table, part, compression="zstd", use_dictionary=False, write_page_checksum=True)
    except OSError as error:
        raise IndexStoreError(
            f"{file} cannot be written: {error.strerror or error}.",
            "Make room, then index again: what is done is kept.",
        ) from error


def _table(meta: Meta, ids: I64, vectors: F32, note: PartNote) -> Any:
    import pyarrow as pa  # noqa: PLC0415
    import shapely  # noqa: PLC0415

    windows = meta.tiling.windows(ids)  # (n, 4)
    rows, cols = meta.tiling.rows_and_columns(ids)
    polygons = shapely.polygons(tile_corners(meta.transform, windows))
    bounds = shapely.bounds(polygons).reshape(-1, 4)
    halves = pa.array(vectors.astype(np.float16).ravel())
    columns = {
        "id": pa.array(ids),
        "row": pa.array(rows.astype(np.int32)),
        "col": pa.array(cols.astype(np.int32)),
        "level": pa.array(meta.tiling.of(ids).astype(np.int8)),
        "window": pa.FixedSizeListArray.from_arrays(pa.array(windows.ravel()), 4),
        "geometry": pa.array(shapely.to_wkb(polygons).tolist(), pa.binary()),
        "bbox": _boxes(bounds),
        "embedding": pa.FixedSizeListArray.from_arrays(halves, meta.dim),
    }
    header = geo_header(meta.crs, bounds, covering=True) | {"emb": json.dumps(_emb(meta, note))}
    return pa.table(columns).replace_schema_metadata(header)


def _boxes(bounds: F64) -> Any:
    """(n, 4) -> the column `bbox`."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.StructArray.from_arrays([pa.array(side) for side in bounds.T], names=list(SIDES))


def _emb(meta: Meta, note: PartNote) -> dict[str, Any]:
    """Names of the STAC embedding extension 0.0.1, and this part's note."""
    grid = meta.lattice
    return {
        "emb:type": "chip",
        "emb:dimensions": meta.dim,
        "emb:chip_layout": {
            "layout_type": "regular",
            "chip_size": [grid.tile_w, grid.tile_h],
            "stride": [grid.step_x, grid.step_y],
        },
        "data_type": "float16",
        "gsd": meta.gsd_m,
        "model": meta.model,
        "fingerprint": meta.fingerprint,
        "source": meta.source,
        "part": sealed(encode(note)),
    }
