"""Rows of the engine's answers as the features of a Processing output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsWkbTypes,
)

from rs_text_search_plugin.engine_process.client import Json
from rs_text_search_plugin.map.tile_geometry import crs_from, tile_geometry

from .algorithm import EngineAlgorithm

OUTPUT = "OUTPUT"
Field = tuple[str, Any]
"""Name and QVariant type."""


class Row(NamedTuple):
    """A feature to be: its values in the order of the fields, its corners (none in a table), and their CRS as WKT2."""

    values: Sequence[Any]
    corners: list[list[float]] | None = None
    crs: str | None = None


def write_rows(
    algorithm: EngineAlgorithm,
    call: tuple[Json, QgsProcessingContext, QgsProcessingFeedback],
    fields: Sequence[Field],
    rows: Sequence[Row],
    crs: str | None = None,
) -> str:
    """Write rows to the output OUTPUT: polygons in `crs`, by default the first row's, or a table.

    `call` are the arguments of `work`. Returns the output's name. Raises: QgsProcessingException."""
    parameters, context, feedback = call
    columns = QgsFields()
    for name, kind in fields:
        columns.append(QgsField(name, kind))  # type: ignore[call-overload]  # QVariant.Type in Qt 5
    target = crs_from(crs or (rows[0].crs if rows else None))
    kind = QgsWkbTypes.Type.Polygon if algorithm.DRAWS else QgsWkbTypes.Type.NoGeometry
    sink, destination = algorithm.parameterAsSink(parameters, OUTPUT, context, columns, kind, target)
    if sink is None:
        raise QgsProcessingException(algorithm.invalidSinkError(parameters, OUTPUT))
    for feature in _features(rows, columns, target, feedback):
        sink.addFeature(feature, QgsFeatureSink.Flag.FastInsert)
    return str(destination)


def _features(
    rows: Sequence[Row],
    columns: QgsFields,
    crs: QgsCoordinateReferenceSystem,
    feedback: QgsProcessingFeedback,
) -> Iterable[QgsFeature]:
    for row in rows:
        feature = QgsFeature(columns)
        feature.setAttributes(list(row.values))
        if row.corners:
            geometry = tile_geometry(row.corners, crs_from(row.crs), crs)
            if geometry is None:
                feedback.pushWarning(f"A place cannot be drawn in {crs.authid()}: {row.values[0]}")
                continue
            feature.setGeometry(geometry)
        yield feature
