"""Tables of a GeoPackage, read and written through QGIS alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qgis.core import (  # type: ignore[attr-defined]  # the stubs lack the exception
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsFields,
    QgsLayerMetadata,
    QgsProviderConnectionException,
    QgsProviderRegistry,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)

from rs_text_search_plugin.contracts.errors import SearchError
from rs_text_search_plugin.translation import tr

NO_GEOMETRY = QgsWkbTypes.Type.NoGeometry  # type: ignore[attr-defined]  # the stubs know later names


class StorageError(SearchError):
    """The GeoPackage of results cannot be read or written."""


@dataclass(frozen=True)
class TableLayout:
    """What a table is made with; without a geometry type it holds attributes only."""

    name: str
    fields: QgsFields
    geometry: Any = NO_GEOMETRY
    """A QgsWkbTypes.Type."""
    crs: QgsCoordinateReferenceSystem = field(default_factory=QgsCoordinateReferenceSystem)
    metadata: QgsLayerMetadata = field(default_factory=QgsLayerMetadata)


def uri_of(path: Path, table: str) -> str:
    """Data source of a table, as the ogr provider takes it."""
    return f"{path}|layername={table}"


def cannot_write(path: Path, reason: str) -> StorageError:
    """The error for a GeoPackage that could not be written."""
    hint = tr("Check that its folder may be written to and has space left.")
    return StorageError(tr("{path} cannot be written: {reason}").format(path=path, reason=reason), hint)


def write_table(path: Path, layout: TableLayout, features: Iterable[QgsFeature] = ()) -> None:
    """Add a table, and the file where there is none. Raises: StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, str(error)) from error
    writer = QgsVectorFileWriter.create(
        str(path),
        layout.fields,
        layout.geometry,
        layout.crs,
        QgsCoordinateTransformContext(),
        _options(path, layout),
    )
    written = writer.addFeatures(list(features))
    failure = writer.errorMessage()
    del writer  # closes the file
    if failure or not written:
        raise cannot_write(path, failure)


def open_table(path: Path, table: str) -> QgsVectorLayer:
    """The table as a layer of no project. Raises: StorageError."""
    layer = QgsVectorLayer(uri_of(path, table), table, "ogr")
    if not layer.isValid():
        reason = tr("The table {table} of {path} cannot be read.").format(table=table, path=path)
        raise StorageError(reason, tr("Put the file back where it was, or search again."))
    return layer


def has_table(path: Path, table: str) -> bool:
    """Whether the file is there and has the table."""
    return path.is_file() and QgsVectorLayer(uri_of(path, table), table, "ogr").isValid()


def drop_table(path: Path, table: str) -> None:
    """Remove a table with its styles. Raises: StorageError."""
    try:
        _connection(path).dropVectorTable("", table)
    except QgsProviderConnectionException as error:
        raise cannot_write(path, str(error)) from error


def copy_file(source: Path, target: Path) -> None:
    """Copy a GeoPackage that may be open; `target` appears once it is whole. Raises: StorageError."""
    partial = target.with_suffix(".part.gpkg")
    quoted = str(partial).replace("'", "''")
    try:
        partial.unlink(missing_ok=True)  # of a copy that was broken off
        _connection(source).executeSql(f"VACUUM INTO '{quoted}'")
        os.replace(partial, target)
    except (QgsProviderConnectionException, OSError) as error:
        raise cannot_write(target, str(error)) from error


def _connection(path: Path) -> Any:
    """A QgsAbstractDatabaseProviderConnection to a GeoPackage."""
    provider: Any = QgsProviderRegistry.instance().providerMetadata("ogr")
    return provider.createConnection(str(path), {})


def _options(path: Path, layout: TableLayout) -> QgsVectorFileWriter.SaveVectorOptions:
    action = QgsVectorFileWriter.ActionOnExistingFile
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = layout.name
    options.fileEncoding = "UTF-8"
    options.actionOnExistingFile = (
        action.CreateOrOverwriteLayer if path.exists() else action.CreateOrOverwriteFile
    )
    options.layerMetadata = layout.metadata
    options.saveMetadata = True
    return options
