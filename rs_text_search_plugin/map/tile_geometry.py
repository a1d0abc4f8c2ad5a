"""A tile's footprint as a QGIS geometry. No GUI: Processing uses it too."""

from __future__ import annotations

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
)

EDGE_POINTS = 8
"""Extra points an edge gets before it is bent into another CRS."""


def crs_from(text: str | None) -> QgsCoordinateReferenceSystem:
    """CRS of a WKT2 or an authority code; an invalid one for None."""
    crs = QgsCoordinateReferenceSystem()
    if text and not crs.createFromString(text):
        crs.createFromWkt(text)
    return crs


def wkt2_of(crs: QgsCoordinateReferenceSystem) -> str:
    """WKT2 of a valid CRS."""
    variant = QgsCoordinateReferenceSystem.WktVariant
    return crs.toWkt(variant.WKT_PREFERRED)  # type: ignore[attr-defined]  # the stubs know only later names


def tile_geometry(
    corners: list[list[float]], source: QgsCoordinateReferenceSystem, target: QgsCoordinateReferenceSystem
) -> QgsGeometry | None:
    """Footprint of 4 corners as a polygon in `target`, edges densified; None out of its reach."""
    polygon = QgsGeometry.fromPolygonXY([[QgsPointXY(x, y) for x, y in [*corners, corners[0]]]])
    if source == target or not source.isValid() or not target.isValid():
        return polygon
    polygon = polygon.densifyByCount(EDGE_POINTS)
    try:
        polygon.transform(QgsCoordinateTransform(source, target, QgsProject.instance()))
    except QgsCsException:
        return None
    return polygon
