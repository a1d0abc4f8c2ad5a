"""Footprints of matches, or of a whole index, to a vector file; its ending names the format.

GDAL (through pyogrio) writes all but GeoParquet, which its wheels leave out and pyarrow writes.
"""

from __future__ import annotations

import os
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
from rs_text_search_plugin.engine.raster.crs import projjson

from .footprints import Corners, Footprints, footprints

if TYPE_CHECKING:
    from rs_text_search_plugin.engine.index.store import Index

DRIVERS = {
    ".shp": "ESRI Shapefile",
    ".gpkg": "GPKG",
    ".geojson": "GeoJSON",
    ".fgb": "FlatGeobuf",
    ".parquet": "Parquet",
}
SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".qpj", ".shp.xml")
TEXT_BYTES = 254
"""What a text of a shapefile's table can hold."""
Column = npt.NDArray[np.generic]


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


def export(
    path: Path,
    matches: Sequence[ExportedMatch],
    indexes: Mapping[str, Index],
    query: str,
    model: str,
    crs: str | None = None,
) -> ExportReport:
    """Write one row per match: rank, score, query, model, raster, tile_id, region and the footprint.

    `indexes` maps the name that a match gives to its index. `crs` defaults to the first index's; footprints
    of other CRS are brought to it with densified edges. Raises ExportError.
    """
    shapes = footprints(_tiles(matches, indexes), indexes, crs)
    kept = [matches[row] for row in shapes.rows]
    columns = {
        "rank": np.array([match.rank for match in kept], dtype=np.int64),
        "score": np.array([match.score for match in kept], dtype=np.float64),
        "query": _texts([query] * len(kept)),
        "model": _texts([model] * len(kept)),
        "raster": _texts([_name(indexes[match.index]) for match in kept]),
        "tile_id": np.array([match.id for match in kept], dtype=np.int64),
        "region": np.array([match.region for match in kept], dtype=np.int64),
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
    corners = index.corners(np.arange(len(index.ids)))
    folder = str(index.folder)
    shapes = footprints([(folder, tile) for tile in corners], {folder: index}, crs)
    ids = np.asarray(index.ids, dtype=np.int64)[shapes.rows]
    columns = {
        "tile_id": ids,
        "row": ids // index.cols,
        "col": ids % index.cols,
        "model": _texts([index.meta.model] * len(ids)),
        "raster": _texts([_name(index)] * len(ids)),
    }
    return _write(Path(path), _Table(columns, shapes))


def _texts(values: list[str]) -> Column:
    return np.array(values, dtype=object)


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
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
            part = Path(folder) / path.name
            _write_parquet(part, table) if driver == "Parquet" else _write_gdal(part, table, driver)
            files = _move(Path(folder), path)
    except OSError as error:
        hint = "Choose a folder you may write to, and close the file in other programs."
        raise ExportError(f"{path} cannot be written: {error.strerror or error}.", hint) from error
    return ExportReport(files, len(table.shapes.rows), (*table.shapes.warnings, *lost))


def _move(folder: Path, path: Path) -> tuple[str, ...]:
    made = {file.name: file for file in folder.iterdir()}
    if path.suffix.lower() == ".shp":  # an old spatial index or .prj must not stay beside new shapes
        for part in SHAPEFILE_PARTS:
            old = path.with_suffix(part)
            if old.name not in made:
                old.unlink(missing_ok=True)
    for name, file in made.items():
        os.replace(file, path.parent / name)
    return tuple(sorted(str(path.parent / name) for name in made))


def _fitted(table: _Table, driver: str) -> tuple[_Table, list[str]]:
    """The table as the format can hold it, and what was lost."""
    if driver == "GeoJSON":
        return table, ["GeoJSON is always in WGS 84 (EPSG:4326)."] if table.shapes.on_earth() else []
    if driver != "ESRI Shapefile":
        return table, []
    lost = []
    columns = dict(table.columns)
    for name, values in columns.items():
        if values.dtype == object:
            short = [_cut(str(value)) for value in values]
            if short != values.tolist():
                lost.append(f"“{name}” was cut to {TEXT_BYTES} bytes, as a shapefile holds no more.")
                columns[name] = _texts(short)
    return replace(table, columns=columns), lost


def _cut(text: str) -> str:
    return text.encode()[:TEXT_BYTES].decode(errors="ignore")


def _write_gdal(path: Path, table: _Table, driver: str) -> None:
    from pyogrio import raw  # noqa: PLC0415 - a second GDAL, loaded only to write
    from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError  # noqa: PLC0415

    options = {"RFC7946": "YES"} if driver == "GeoJSON" and table.shapes.on_earth() else {}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")  # the report says it in plain words
            raw.write(
                str(path),
                geometry=table.shapes.wkb,
                field_data=list(table.columns.values()),
                fields=list(table.columns),
                geometry_type="Polygon",
                crs=table.shapes.crs,
                driver=driver,
                encoding="UTF-8" if driver == "ESRI Shapefile" else None,
                **options,
            )
    except (DataLayerError, DataSourceError, FeatureError, FieldError) as error:
        raise ExportError(f"{driver} cannot hold these matches: {error}", "Export to GeoPackage.") from error


def _write_parquet(path: Path, table: _Table) -> None:
    """GeoParquet 1.1 (geoparquet.org): WKB, the CRS as PROJJSON, null when there is none."""
    import json  # noqa: PLC0415

    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    column = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": table.shapes.crs and projjson(table.shapes.crs),
    }
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    arrays = {name: pa.array(values) for name, values in table.columns.items()}
    arrays["geometry"] = pa.array(table.shapes.wkb.tolist(), pa.binary())
    parquet.write_table(
        pa.table(arrays).replace_schema_metadata({"geo": json.dumps(geo)}), path, compression="zstd"
    )
