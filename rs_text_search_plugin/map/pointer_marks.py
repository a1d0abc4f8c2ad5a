"""Points and boxes on the map: where inside their tiles matches lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas, QgsRubberBand

from .tile_geometry import crs_from, tile_geometry
from .tile_highlight import outline_band

Json = dict[str, Any]
POINT_PX = 9


class PointerMarks:
    """Draws over all layers until `clear`; nothing of it is saved with the project."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self.canvas = canvas
        self._bands: list[QgsRubberBand] = []

    def show(self, points: Iterable[tuple[Json, str | None]]) -> None:
        """Draw a box and its point for each (`point` of the answer to `zoom`, CRS of its raster as WKT2)."""
        self.clear()
        boxes = outline_band(self.canvas)
        marks = QgsRubberBand(self.canvas, QgsWkbTypes.GeometryType.PointGeometry)
        marks.setIcon(QgsRubberBand.IconType.ICON_CIRCLE)
        marks.setIconSize(POINT_PX)
        marks.setStrokeColor(boxes.strokeColor())
        marks.setWidth(3)
        self._bands = [boxes, marks]
        for point, crs in points:
            box = self._on_canvas(point["corners"], crs_from(crs))
            if box is not None:
                boxes.addGeometry(box, None)
                marks.addPoint(self._point(point, crs_from(crs)))

    def clear(self) -> None:
        """Take all of it off the map."""
        for band in self._bands:
            self.canvas.scene().removeItem(band)
        self._bands = []

    def count(self) -> int:
        """Boxes drawn."""
        return self._bands[0].size() if self._bands else 0

    def _on_canvas(self, corners: list[list[float]], crs: QgsCoordinateReferenceSystem) -> QgsGeometry | None:
        return tile_geometry(corners, crs, self.canvas.mapSettings().destinationCrs())

    def _point(self, point: Json, crs: QgsCoordinateReferenceSystem) -> QgsPointXY:
        place = QgsPointXY(point["x"], point["y"])
        target = self.canvas.mapSettings().destinationCrs()
        if crs == target or not crs.isValid() or not target.isValid():
            return place
        return QgsCoordinateTransform(crs, target, QgsProject.instance()).transform(place)
