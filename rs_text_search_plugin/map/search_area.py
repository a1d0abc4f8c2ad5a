"""Where to search: whole rasters, the map's view, selected polygons, or a polygon drawn on the map."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsGeometry,
    QgsJsonUtils,
    QgsProject,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas

from .tile_geometry import crs_from, wkt2_of

Json = dict[str, Any]
SAME_SHARE = 0.01
"""A map that shows one hundredth more or less is not searched again."""
TOLERANCE = 1e-6
"""Of an area's outline: what is lost on the way to another CRS and back does not count."""


class AreaKind(str, Enum):
    """What the area is taken from."""

    WHOLE = "whole"
    VIEW = "view"
    SELECTION = "selection"
    DRAWN = "drawn"


@dataclass(frozen=True)
class SearchArea:
    """A polygon on the ground."""

    geometry: QgsGeometry
    crs: QgsCoordinateReferenceSystem

    def to_request(self) -> Json:
        """`area` and `area_crs` of a request to the engine."""
        area = {"area": json.loads(self.geometry.asJson(15))}
        return {**area, "area_crs": wkt2_of(self.crs)} if self.crs.isValid() else area

    def is_like(self, other: SearchArea) -> bool:
        """Whether both have the same outline but for SAME_SHARE of their area."""
        if self.crs != other.crs:
            return False
        difference = self.geometry.symDifference(other.geometry).area()
        return bool(difference <= SAME_SHARE * self.geometry.area())

    def to_json(self) -> Json:
        """To be saved with the project."""
        return {"wkt": self.geometry.asWkt(), "crs": wkt2_of(self.crs) if self.crs.isValid() else ""}

    @classmethod
    def from_json(cls, saved: Json) -> SearchArea:
        """What `to_json` gave."""
        return cls(QgsGeometry.fromWkt(saved["wkt"]), crs_from(saved["crs"]))


def covers_area(info: Json, wanted: SearchArea | None) -> bool:
    """Whether an index holds all tiles that are wanted; `info` as the engine reports it, None for all tiles."""
    if not info.get("area"):
        return True
    if wanted is None:
        return False
    target = crs_from(info.get("area_crs") or info.get("crs"))
    geometry = QgsGeometry(wanted.geometry)
    if target.isValid() and wanted.crs.isValid():
        try:
            geometry.transform(QgsCoordinateTransform(wanted.crs, target, QgsProject.instance()))
        except QgsCsException:  # outside the reach of the index's CRS, so it is not covered
            return False
    indexed = geometry_of(info["area"])
    return bool(indexed.buffer(TOLERANCE * indexed.length(), 4).contains(geometry))


def geometry_of(geojson: Json) -> QgsGeometry:
    """A GeoJSON geometry as QGIS's; an empty one for none."""
    feature = {"type": "Feature", "properties": {}, "geometry": geojson}
    (read,) = QgsJsonUtils.stringToFeatureList(json.dumps(feature)) or (QgsFeature(),)
    return read.geometry()


def view_of(canvas: QgsMapCanvas) -> SearchArea:
    """What the map shows; a turned map shows a turned rectangle."""
    settings = canvas.mapSettings()
    corners = settings.visiblePolygon()
    ring = [corners.at(number) for number in range(corners.size())]
    return SearchArea(_polygon(ring), settings.destinationCrs())


def selection_of(layer: QgsVectorLayer | None) -> SearchArea | None:
    """The selected polygons of a layer as one; None when nothing is selected."""
    shapes = [feature.geometry() for feature in layer.selectedFeatures()] if layer is not None else []
    merged = QgsGeometry.unaryUnion([shape for shape in shapes if not shape.isEmpty()])
    return None if layer is None or merged.isEmpty() else SearchArea(merged, layer.crs())


def _polygon(ring: list[Any]) -> QgsGeometry:
    text = ", ".join(f"{point.x():.17g} {point.y():.17g}" for point in [*ring, ring[0]])
    return QgsGeometry.fromWkt(f"Polygon (({text}))")
