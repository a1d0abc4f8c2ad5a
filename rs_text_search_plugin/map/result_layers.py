"""Matches become a polygon layer, heat a raster layer, in one group at the top of the layer tree.

Nothing here touches the person's own layers or the project's CRS. Layers are held by id, never by reference,
because the person may remove them at any moment.
"""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsLayerTreeGroup,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtGui import QColor

from .styles import style_heat, style_matches
from .tile_geometry import crs_from, tile_geometry

GROUP = "Text search"
RESULT_PROPERTY = "rs_text_search/result"  # marks our own layers, so that heat is not offered for indexing
FIELDS = "&".join(
    f"field={field}"
    for field in (
        "rank:integer",
        "score:double",
        "region:integer",
        "tile_id:integer",
        "raster:string",
        "query:string",
        "model:string",
    )
)
ROOM = 4  # a tile that is flown to takes a quarter of the map's width


class ResultLayers:
    """The layers that show one search, updated in place by the next."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self.canvas = canvas
        self._matches_id = ""
        self._heat_ids: list[str] = []
        self._outline: QgsRubberBand | None = None

    def show_matches(self, result: dict[str, Any]) -> QgsVectorLayer:
        """Show a search's result (as the engine returned it), replacing the one before."""
        sources = {source["index"]: source for source in result["sources"]}
        layer = self._matches_layer(self._common_crs(list(sources.values())))
        layer.setName(result["query"])
        layer.setSubsetString("")
        provider = layer.dataProvider()
        provider.truncate()
        provider.addFeatures(list(self._features(result, sources, layer.crs())))
        layer.updateExtents()
        return layer

    def filter(self, min_score: float, top: int) -> None:
        """Show only matches from `min_score` on and of rank `top` or better; instant, no new search."""
        layer = self.matches
        if layer is not None:
            layer.setSubsetString(f'"score" >= {min_score:g} AND "rank" <= {top:d}')
            layer.triggerRepaint()

    def show_heat(self, heats: list[dict[str, Any]]) -> None:
        """Show heat rasters [{index, path}] under the matches, replacing those before."""
        self.clear_heat()
        for heat in heats:
            layer = QgsRasterLayer(heat["path"], "Heat", "gdal")
            if not layer.isValid():
                continue
            style_heat(layer)
            layer.setCustomProperty(RESULT_PROPERTY, 1)
            QgsProject.instance().addMapLayer(layer, False)
            self._group().addLayer(layer).setExpanded(False)
            self._heat_ids.append(layer.id())

    def clear_heat(self) -> None:
        """Remove the heat rasters."""
        QgsProject.instance().removeMapLayers(
            [i for i in self._heat_ids if QgsProject.instance().mapLayer(i)]
        )
        self._heat_ids = []

    def clear(self) -> None:
        """Remove everything a search has put on the map."""
        self.clear_heat()
        self.clear_outline()
        if self.matches is not None:
            QgsProject.instance().removeMapLayer(self._matches_id)
        group = QgsProject.instance().layerTreeRoot().findGroup(GROUP)
        if group is not None and not group.children():
            QgsProject.instance().layerTreeRoot().removeChildNode(group)
        self.canvas.refresh()

    @property
    def matches(self) -> QgsVectorLayer | None:
        """The layer of matches, unless there is none or the person removed it."""
        layer = QgsProject.instance().mapLayer(self._matches_id)
        return layer if isinstance(layer, QgsVectorLayer) else None

    def fly_to(self, corners: list[list[float]], crs: str | None) -> None:
        """Centre the map on a tile and flash it."""
        geometry = self._on_canvas(corners, crs)
        if geometry is None:
            return
        extent = geometry.boundingBox()
        extent.scale(ROOM)
        self.canvas.setExtent(extent)
        self.canvas.refresh()
        self.canvas.flashGeometries([geometry], self.canvas.mapSettings().destinationCrs())

    def outline(self, corners: list[list[float]], crs: str | None) -> None:
        """Draw a frame around a tile until `clear_outline`."""
        geometry = self._on_canvas(corners, crs)
        if geometry is None:
            return
        if self._outline is None:
            self._outline = QgsRubberBand(self.canvas, QgsWkbTypes.GeometryType.PolygonGeometry)
            self._outline.setFillColor(QColor(255, 255, 255, 20))
            self._outline.setStrokeColor(QColor("#00e5ff"))
            self._outline.setSecondaryStrokeColor(QColor(0, 0, 0, 200))
            self._outline.setWidth(3)
        self._outline.setToGeometry(geometry, None)

    def clear_outline(self) -> None:
        """Take the frame off the map."""
        if self._outline is not None:
            self.canvas.scene().removeItem(self._outline)
            self._outline = None

    def _on_canvas(self, corners: list[list[float]], crs: str | None) -> QgsGeometry | None:
        return tile_geometry(corners, crs_from(crs), self.canvas.mapSettings().destinationCrs())

    def _common_crs(self, sources: list[dict[str, Any]]) -> QgsCoordinateReferenceSystem:
        """The rasters' CRS where they share one, else the project's."""
        wanted = {source["crs"] for source in sources}
        return crs_from(wanted.pop()) if len(wanted) == 1 else QgsProject.instance().crs()

    def _matches_layer(self, crs: QgsCoordinateReferenceSystem) -> QgsVectorLayer:
        layer = self.matches
        if layer is not None and layer.crs() == crs:
            return layer
        if layer is not None:
            QgsProject.instance().removeMapLayer(self._matches_id)
        layer = QgsVectorLayer(f"Polygon?{FIELDS}", "", "memory")
        layer.setCrs(crs)
        layer.setCustomProperty(RESULT_PROPERTY, 1)
        layer.setCustomProperty("skipMemoryLayersCheck", 1)  # results are exported, not kept with the project
        layer.setDisplayExpression('concat("rank", \': \', round("score"))')
        style_matches(layer)
        QgsProject.instance().addMapLayer(layer, False)
        self._group().insertLayer(0, layer)
        self._group().setExpanded(True)
        self._matches_id = layer.id()
        return layer

    def _group(self) -> QgsLayerTreeGroup:
        root = QgsProject.instance().layerTreeRoot()
        group = root.findGroup(GROUP)
        if group is None:
            group = root.insertGroup(0, GROUP)
            group.setExpanded(False)  # an empty group cannot be shown open; see `_matches_layer`
        return group

    @staticmethod
    def _features(
        result: dict[str, Any], sources: dict[str, dict[str, Any]], crs: QgsCoordinateReferenceSystem
    ) -> list[QgsFeature]:
        systems = {index: crs_from(source["crs"]) for index, source in sources.items()}
        features = []
        for match in result["matches"]:
            geometry = tile_geometry(match["corners"], systems[match["index"]], crs)
            if geometry is None:
                continue
            feature = QgsFeature()
            feature.setGeometry(geometry)
            feature.setAttributes(
                [
                    match["rank"],
                    match["score"],
                    match["region"],
                    match["id"],
                    sources[match["index"]]["source"],
                    result["query"],
                    result["model"],
                ]
            )
            features.append(feature)
        return features
