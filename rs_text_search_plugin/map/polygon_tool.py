"""Map tool to draw one polygon: left click adds a corner, right click or Enter closes, Backspace takes one back."""

from __future__ import annotations

from qgis.core import QgsGeometry, QgsPointXY, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapMouseEvent, QgsMapTool, QgsRubberBand
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent

LEAST_CORNERS = 3


class PolygonTool(QgsMapTool):
    """Emits `drawn` and gives way to the tool before; Escape gives way without drawing."""

    drawn = pyqtSignal(QgsGeometry)
    """A valid polygon in the canvas's CRS."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.map = canvas
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.corners: list[QgsPointXY] = []
        self._before: QgsMapTool | None = None
        self._band: QgsRubberBand | None = None

    def start(self) -> None:
        """Take over from the tool in use."""
        if self.map.mapTool() is not self:
            self._before = self.map.mapTool()
            self.map.setMapTool(self)

    def canvasPressEvent(self, event: QgsMapMouseEvent | None) -> None:  # noqa: N802 - QGIS's name
        if event is None:
            return
        if event.button() == Qt.MouseButton.LeftButton:
            self.corners.append(event.mapPoint())
            self._draw(event.mapPoint())
        else:
            self.finish()

    def canvasMoveEvent(self, event: QgsMapMouseEvent | None) -> None:  # noqa: N802 - QGIS's name
        if event is not None and self.corners:
            self._draw(event.mapPoint())

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        if event is None:
            return
        key = event.key()
        if key in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self.finish()
        elif key == Qt.Key.Key_Escape:
            self._give_way()
        elif key in {Qt.Key.Key_Backspace, Qt.Key.Key_Delete} and self.corners:
            self.corners.pop()
            self._draw(self.corners[-1] if self.corners else None)
            event.ignore()  # else QGIS deletes what is selected

    def finish(self) -> None:
        """Close the polygon and hand it out; fewer than three corners are none."""
        corners = self.corners
        self._give_way()
        if len(corners) >= LEAST_CORNERS:
            polygon = QgsGeometry.fromPolygonXY([[*corners, corners[0]]])
            self.drawn.emit(polygon if polygon.isGeosValid() else polygon.makeValid())

    def deactivate(self) -> None:
        """Another tool was chosen: forget the corners."""
        self.corners = []
        self._draw(None)
        super().deactivate()

    def _give_way(self) -> None:
        self.corners = []
        self._draw(None)
        if self.map.mapTool() is self:
            if self._before is not None:
                self.map.setMapTool(self._before)
            else:
                self.map.unsetMapTool(self)

    def _draw(self, end: QgsPointXY | None) -> None:
        """The corners so far and the mouse at `end`; nothing for None."""
        if end is None:
            if self._band is not None:
                self.map.scene().removeItem(self._band)
                self._band = None
            return
        if self._band is None:
            self._band = area_band(self.map)
        self._band.setToGeometry(QgsGeometry.fromPolygonXY([[*self.corners, end]]), None)


def area_band(canvas: QgsMapCanvas) -> QgsRubberBand:
    """A dashed frame around the area that is searched."""
    band = QgsRubberBand(canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
    band.setFillColor(QColor(0, 0, 0, 0))
    band.setStrokeColor(QColor("#ffffff"))
    band.setSecondaryStrokeColor(QColor(0, 0, 0, 160))
    band.setLineStyle(Qt.PenStyle.DashLine)
    band.setWidth(2)
    return band
