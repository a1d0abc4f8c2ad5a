"""Footprints of matches, or of a whole index, to a vector file; its ending names the format.

GDAL (through pyogrio) writes all but GeoParquet, which its wheels leave out and pyarrow writes.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.contracts.errors import ExportError
from rs_text_search_plugin.contracts.operations.search import ExportedMatch
from rs_text_search_plugin.models.files import move_whole

from .footprints import Corners, Footprints, footprints
from .geoparquet import geo_header
from .targets import refuse_input

if TYPE_CHECKING:
    from rs_text_search_plugin.engine.index.store import Index

SHAPEFILE = "ESRI Shapefile"
DRIVERS = {
    ".shp": SHAPEFILE,
    ".gpkg": "GPKG",
    ".geojson": "GeoJSON",
    ".fgb": "FlatGeobuf",
    ".parquet": "Parquet",
}
SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".qpj", ".shp.xml")
TEXT_BYTES = 254
"""What a text of a shapefile's table can hold."""
Column = npt.NDArray[np.generic]


MATCH_COLUMNS: dict[str, type] = {
    "rank": np.int64,
    "score": np.float64,
    "query": object,
    "model": object,
    "raster": object,
    "tile_id": np.int64,
    "region": np.int64,
}
"""What every format holds of a match, in this order."""


@dataclass(frozen=True)
class Found:
    """Matches to export. `indexes` maps the name that a match gives to its index."""

    matches: Sequence[ExportedMatch]
    indexes: Mapping[str, Index]
    query: str
    model: str


@dataclass(frozen=True)
class ExportReport:
    """What was written: all files of it, how many footprints, and what the person should know."""

    files: tuple[str, ...]
    features: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Table:
    """A layer before it is written: column name -> values (n,), and where the rows lie."""

    columns: dict[str, Column]
    shapes: Footprints


def export(path: Path, found: Found, crs: str | None = None) -> ExportReport:
    """Write one row per match: MATCH_COLUMNS and the footprint.

    `crs` defaults to the first index's; footprints of other CRS are brought to it with densified edges.
    Raises ExportError, and IndexStoreError for a tile that its index does not hold.
    """
    return export_shapes(path, found, _tiles(found.matches, found.indexes), crs)


def export_shapes(
    path: Path, found: Found, corners: Sequence[tuple[str, Corners]], crs: str | None
) -> ExportReport:
    """The same with other quadrilaterals in place of the footprints: (index, corners) of every match."""
    matches, indexes = found.matches, found.indexes
    refuse_input(path, indexes.values())
    shapes = footprints(corners, indexes, crs)
    kept = [matches[row] for row in shapes.rows]
    values: dict[str, list[object]] = {
        "rank": [match.rank for match in kept],
        "score": [match.score for match in kept],
        "query": [found.query] * len(kept),
        "model": [found.model] * len(kept),
        "raster": [_name(indexes[match.index]) for match in kept],
        "tile_id": [match.id for match in kept],
        "region": [match.region for match in kept],
    }
    columns: dict[str, Column] = {
        name: np.array(values[name], dtype=kind) for name, kind in MATCH_COLUMNS.items()
    }
    return _write(Path(path), _Table(columns, shapes))


def _tiles(matches: Sequence[ExportedMatch], indexes: Mapping[str, Index]) -> list[tuple[str, Corners]]:
    """(index, corners) of every match. Raises IndexStoreError for a tile that its index does not hold."""
    found = []
    for match in matches:
        index = indexes[match.index]
        found.append((match.index, index.corners(np.array([index.position(match.id)]))[0]))
    return found


def export_index(path: Path, index: Index, crs: str | None = None) -> ExportReport:
    """Write one row per tile of an index: tile_id, row, col, model, raster, footprint. Raises ExportError."""
    refuse_input(path, [index])
    corners = index.corners(np.arange(len(index.ids)))
    folder = str(index.folder)
    shapes = footprints([(folder, tile) for tile in corners], {folder: index}, crs)
    ids = np.asarray(index.ids, dtype=np.int64)[shapes.rows]
    rows, cols = index.meta.tiling.rows_and_columns(ids)
    columns = {
        "tile_id": ids,
        "row": rows,
        "col": cols,
        "model": np.full(len(ids), index.meta.model, dtype=object),
        "raster": np.full(len(ids), _name(index), dtype=object),
    }
    return _write(Path(path), _Table(columns, shapes))


def _name(index: Index) -> str:
    """A raster's file name; a path would tell others how the person's disk looks."""
    return str(index.meta.source).replace("\\", "/").rsplit("/", 1)[-1]


def _write(path: Path, table: _Table) -> ExportReport:
    """Write beside the target and move into place, so that a file is there whole or as it was before."""
    driver = DRIVERS.get(path.suffix.lower())
    if driver is None:
        raise ExportError(f"“{path.suffix}” is no format known here.", f"Use one of {', '.join(DRIVERS)}.")
    table, lost = _fitted(table, driver)
    try:
        files = _write_files(path, table, driver)
    except OSError as error:
        hint = "Choose a folder you may write to, and close the file in other programs."
        raise ExportError(f"{path} cannot be written: {error.strerror or error}.", hint) from error
    return ExportReport(files, len(table.shapes.rows), (*table.shapes.warnings, *lost))


def _write_files(path: Path, table: _Table, driver: str) -> tuple[str, ...]:
    """The files of a format; an old shapefile's spatial index or .prj must not stay beside new shapes."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        part = Path(folder) / path.name
        _write_parquet(part, table) if driver == "Parquet" else _write_gdal(part, table, driver)
        made = {path.with_name(file.name): file for file in Path(folder).iterdir()}
        if driver == SHAPEFILE:
            for old in {path.with_suffix(end) for end in SHAPEFILE_PARTS} - set(made):
                old.unlink(missing_ok=True)
        for target, file in made.items():
            move_whole(file, target)
    return tuple(sorted(map(str, made)))


def _fitted(table: _Table, driver: str) -> tuple[_Table, list[str]]:
    """The table as the format can hold it, and what was lost."""
    if driver == "GeoJSON":
        return table, ["GeoJSON is always in WGS 84 (EPSG:4326)."] if table.shapes.on_earth() else []
    if driver != SHAPEFILE:
        return table, []
    lost = []
    columns = dict(table.columns)
    for name, values in columns.items():
        if values.dtype == object:
            short = [_cut(str(value)) for value in values]
            if short != values.tolist():
                lost.append(f"“{name}” was cut to {TEXT_BYTES} bytes, as a shapefile holds no more.")
                columns[name] = np.array(short, dtype=object)
    return replace(table, columns=columns), lost


def _cut(text: str) -> str:
    return text.encode()[:TEXT_BYTES].decode(errors="ignore")


def _write_gdal(path: Path, table: _Table, driver: str) -> None:
    from pyogrio import raw  # noqa: PLC0415 - a second GDAL, loaded only to write
    from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError  # noqa: PLC0415

    fields = {"field_data": list(table.columns.values()), "fields": list(table.columns)}
    layer = {"geometry_type": "Polygon", "crs": table.shapes.crs, "driver": driver}
    if driver == SHAPEFILE:
        layer["encoding"] = "UTF-8"
    if driver == "GeoJSON" and table.shapes.on_earth():
        layer["RFC7946"] = "YES"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")  # the report says it in plain words
            raw.write(str(path), geometry=table.shapes.wkb, **fields, **layer)
    except (DataLayerError, DataSourceError, FeatureError, FieldError) as error:
        raise ExportError(f"{driver} cannot hold these matches: {error}", "Export to GeoPackage.") from error


def _write_parquet(path: Path, table: _Table) -> None:
    import pyarrow as pa  # noqa: PLC0415
    import shapely  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    arrays = {name: pa.array(values) for name, values in table.columns.items()}
    arrays["geometry"] = pa.array(table.shapes.wkb.tolist(), pa.binary())
    bounds = shapely.bounds(shapely.from_wkb(table.shapes.wkb)).reshape(-1, 4)
    header = geo_header(table.shapes.crs, bounds)
    parquet.write_table(pa.table(arrays).replace_schema_metadata(header), path, compression="zstd")
