"""Part files: the unit of work, of writing and of resuming. Each is a GeoParquet of one run of tiles."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, I64
from rs_text_search_plugin.contracts.errors import IndexStoreError

from .grid import Lattice, footprints, windows

if TYPE_CHECKING:
    from .meta import Meta

PART_TILES = (64, 1024)
"""Least and most tiles of a part, between them 1/32 of all: so much a kill -9 costs, or one row of the lattice."""
BAND_BYTES = 256_000_000
"""Rows of pixels held at once; a wider raster is cut into panels."""


@dataclass(frozen=True)
class Part:
    """A block of the lattice: rows and columns, end excluded."""

    number: int
    row: int
    row_end: int
    col: int
    col_end: int

    def ids(self, grid: Lattice) -> I64:
        """Tile ids, row by row."""
        rows, cols = np.mgrid[self.row : self.row_end, self.col : self.col_end]
        return np.asarray((rows * grid.cols + cols).ravel(), dtype=np.int64)


def parts_of(grid: Lattice, factor: int = 1) -> list[Part]:
    """The parts of a lattice read at 1/factor of its resolution, panel by panel. Nothing else decides them."""
    column_bytes = 3 * 2 * grid.tile_h / factor**2  # RGB, and as much again for the block rows read ahead
    panel = max(1, int(BAND_BYTES / column_bytes - grid.tile_w) // grid.step_x)
    size = min(max(len(grid) // 32, PART_TILES[0]), PART_TILES[1])
    found: list[Part] = []
    for col in range(0, grid.cols, panel):
        end = min(col + panel, grid.cols)
        step = max(1, size // (end - col))
        for row in range(0, grid.rows, step):
            found.append(Part(len(found), row, min(row + step, grid.rows), col, end))
    return found


def part_name(number: int) -> str:
    """File name of a part."""
    return f"part-{number:05d}.parquet"


def write_part(folder: Path, part: Part, meta: Meta, ids: I64, vectors: F32, note: dict[str, Any]) -> None:
    """One GeoParquet file, whole or not at all. `ids` (n,), `vectors` (n, dim); `note`: what was skipped."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    file = folder / part_name(part.number)
    fresh = file.with_suffix(".part")
    table = _table(meta, ids, vectors, {**note, "tiles": len(ids), "key": meta.key})
    try:
        with fresh.open("wb") as out:
            pq.write_table(table, out, compression="zstd", use_dictionary=False)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
    except OSError as error:
        raise IndexStoreError(
            f"{file} cannot be written: {error.strerror or error}.",
            "Make room, then index again: what is done is kept.",
        ) from error


def _table(meta: Meta, ids: I64, vectors: F32, note: dict[str, Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    grid = meta.lattice
    places = windows(grid, ids)  # (n, 4)
    rings = footprints(meta.transform, places)  # (n, 4, 2)
    halves = pa.array(vectors.astype(np.float16).ravel())
    columns = {
        "id": pa.array(ids),
        "row": pa.array((ids // grid.cols).astype(np.int32)),
        "col": pa.array((ids % grid.cols).astype(np.int32)),
        "level": pa.array(np.zeros(len(ids), np.int8)),
        "window": pa.FixedSizeListArray.from_arrays(pa.array(places.ravel()), 4),
        "geometry": pa.array(list(_wkb(rings)), pa.binary()),
        "bbox": _boxes(rings),
        "embedding": pa.FixedSizeListArray.from_arrays(halves, meta.dim),
    }
    tags = {"geo": json.dumps(_geo(meta, rings)), "emb": json.dumps(_emb(meta, note))}
    return pa.table(columns).replace_schema_metadata(tags)


def _boxes(rings: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    names = ("xmin", "ymin", "xmax", "ymax")
    low, high = (rings.min(1), rings.max(1)) if len(rings) else (np.zeros((0, 2)), np.zeros((0, 2)))
    return pa.StructArray.from_arrays([pa.array(v) for v in (*low.T, *high.T)], names=list(names))


def _wkb(rings: Any) -> Iterator[bytes]:
    """(n, 4, 2) corners -> polygons, ring closed."""
    import shapely  # noqa: PLC0415

    yield from shapely.to_wkb(shapely.polygons(rings)) if len(rings) else ()


def _geo(meta: Meta, rings: Any) -> dict[str, Any]:
    """GeoParquet 1.1 file metadata; a raster without CRS has `crs` null."""
    from rs_text_search_plugin.engine.raster.crs import projjson  # noqa: PLC0415

    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": projjson(meta.crs) if meta.crs else None,
        "covering": {"bbox": {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}},
    }
    if len(rings):
        column["bbox"] = [*rings.min((0, 1)).tolist(), *rings.max((0, 1)).tolist()]
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def _emb(meta: Meta, note: dict[str, Any]) -> dict[str, Any]:
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
        "part": note,
    }


def read_note(file: Path) -> dict[str, Any]:
    """What a part says of itself: tiles, key, empty, unreadable. Raises IndexStoreError."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        tags = pq.read_schema(file).metadata
        return dict(json.loads(tags[b"emb"])["part"])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise _damaged(file, error) from error


def read_columns(file: Path, dim: int) -> tuple[I64, F32]:
    """Ids (n,) and vectors (n, dim) of a part, of unit length again. Raises IndexStoreError."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        table = pq.read_table(file, columns=["id", "embedding"])
        halves = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        vectors = halves.astype(np.float32).reshape(-1, dim)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise _damaged(file, error) from error
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return table["id"].to_numpy().astype(np.int64), vectors


def _damaged(file: Path, error: Exception) -> IndexStoreError:
    return IndexStoreError(
        f"{file} is damaged: {error}", "Index the raster again with --resume: it is remade."
    )
