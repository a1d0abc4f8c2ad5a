"""One tile on the map: centred and flashed, or framed until told otherwise."""

from __future__ import annotations

from qgis.core import QgsGeometry, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtGui import QColor

from .tile_geometry import crs_from, tile_geometry

Corners = list[list[float]]
CONTEXT_FACTOR = 4  # a tile that the map goes to takes a quarter of its width


class TileHighlight:
    """Draws nothing until asked; `corners` are in `crs`, WKT2 or None for the map's own."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self.canvas = canvas
        self._outline: QgsRubberBand | None = None

    def go_to(self, corners: Corners, crs: str | None) -> None:
        """Centre the map on a tile and flash it."""
        geometry = self._on_canvas(corners, crs)
        if geometry is None:
            return
        extent = geometry.boundingBox()
        extent.scale(CONTEXT_FACTOR)
        self.canvas.setExtent(extent)
        self.canvas.refresh()
        self.canvas.flashGeometries([geometry], self.canvas.mapSettings().destinationCrs())

    def outline(self, corners: Corners, crs: str | None) -> None:
        """Draw a frame around a tile until `clear`."""
        geometry = self._on_canvas(corners, crs)
        if geometry is None:
            return
        if self._outline is None:
            self._outline = outline_band(self.canvas)
        self._outline.setToGeometry(geometry, None)

    @property
    def outlined(self) -> bool:
        """Whether a tile is framed."""
        return self._outline is not None

    def clear(self) -> None:
        """Take the frame off the map."""
        if self._outline is not None:
            self.canvas.scene().removeItem(self._outline)
            self._outline = None

    def _on_canvas(self, corners: Corners, crs: str | None) -> QgsGeometry | None:
        return tile_geometry(corners, crs_from(crs), self.canvas.mapSettings().destinationCrs())


def outline_band(canvas: QgsMapCanvas) -> QgsRubberBand:
    """A cyan frame with a dark edge, to be seen on any ground."""
    band = QgsRubberBand(canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
    band.setFillColor(QColor(255, 255, 255, 20))
    band.setStrokeColor(QColor("#00e5ff"))
    band.setSecondaryStrokeColor(QColor(0, 0, 0, 200))
    band.setWidth(3)
    return band
