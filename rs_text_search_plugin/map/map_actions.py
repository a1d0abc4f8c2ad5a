"""Right-click on the map and on raster layers, and the map tool that describes what is clicked."""

from __future__ import annotations

from functools import partial

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsMapLayerType,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
)
from qgis.gui import QgisInterface, QgsMapMouseEvent, QgsMapToolEmitPoint
from qgis.PyQt.QtCore import QObject, Qt
from qgis.PyQt.QtWidgets import QAction, QMenu

from rs_text_search_plugin.assets import icon
from rs_text_search_plugin.gui.rasters.raster import Raster
from rs_text_search_plugin.gui.search_dock import SearchDock
from rs_text_search_plugin.translation import tr

from .tile_geometry import crs_from


def transformed(
    point: QgsPointXY, source: QgsCoordinateReferenceSystem, target: QgsCoordinateReferenceSystem
) -> QgsPointXY | None:
    """The point in another CRS, unchanged where one is unknown; None out of the reach of `target`."""
    if not source.isValid() or not target.isValid():
        return point
    try:
        return QgsCoordinateTransform(source, target, QgsProject.instance()).transform(point)
    except QgsCsException:
        return None


def covers(raster: Raster, point: QgsPointXY, crs: QgsCoordinateReferenceSystem) -> bool:
    """Whether the raster's index reaches a point of the map; known without asking the engine."""
    ring = raster.info.get("footprint") or []
    there = transformed(point, crs, crs_from(raster.info.get("crs"))) if ring else None
    if there is None:
        return False
    return QgsGeometry.fromPolygonXY([[QgsPointXY(x, y) for x, y in ring]]).contains(there)


class MapActions(QObject):
    """`register` puts the actions into QGIS, `unregister` takes every one out again."""

    def __init__(self, iface: QgisInterface, dock: SearchDock) -> None:
        super().__init__(dock)
        self.iface = iface
        self.dock = dock
        self.canvas = iface.mapCanvas()
        self.index_action = QAction(icon("index"), tr("Index for text search"), self)
        self.index_action.triggered.connect(self._index_current)
        self.tool_action = QAction(icon("describe"), tr("Describe Tile"), self)
        self.tool_action.setToolTip(tr("Describe tile: click the map and read what is there"))
        self.tool_action.setCheckable(True)
        self.tool_action.triggered.connect(self._use_tool)
        self.tool = QgsMapToolEmitPoint(self.canvas)
        self.tool.setCursor(Qt.CursorShape.WhatsThisCursor)
        self.tool.setAction(self.tool_action)
        self.tool.canvasClicked.connect(self._clicked)

    def register(self) -> None:
        """Add the menu entries and the map tool."""
        self.canvas.contextMenuAboutToShow.connect(self._fill_menu)
        self.iface.addCustomActionForLayerType(self.index_action, "", QgsMapLayerType.RasterLayer, True)
        self.iface.addPluginToRasterMenu("&RS Text Search", self.tool_action)
        self.iface.addToolBarIcon(self.tool_action)

    def unregister(self) -> None:
        """Take out what `register` added."""
        self.canvas.unsetMapTool(self.tool)
        self.iface.removeToolBarIcon(self.tool_action)
        self.iface.removePluginRasterMenu("&RS Text Search", self.tool_action)
        self.iface.removeCustomActionForLayerType(self.index_action)
        self.canvas.contextMenuAboutToShow.disconnect(self._fill_menu)

    def covering(self, point: QgsPointXY) -> list[Raster]:
        """Checked rasters whose index covers a point of the map."""
        crs = self.canvas.mapSettings().destinationCrs()
        return [raster for raster in self.dock.rasters.searchable() if covers(raster, point, crs)]

    def missing(self, point: QgsPointXY) -> str:
        """What stands in the way of describing a point that no index covers."""
        if not self.dock.engine.is_ready():
            return self.dock.control.reason_not_ready()
        here = [
            raster for raster in self.dock.rasters.list.rasters if self._layer_covers(raster.layer_id, point)
        ]
        if not here:
            return tr("no raster here")
        names = ", ".join(f"'{raster.name}'" for raster in here[:2])
        if any(raster.searchable for raster in here):
            return tr("the index of {} does not reach here, or is not checked").format(names)
        return next(
            (raster.reason for raster in here if raster.reason), tr("{} is not indexed").format(names)
        )

    def _layer_covers(self, layer_id: str, point: QgsPointXY) -> bool:
        layer = QgsProject.instance().mapLayer(layer_id)
        if layer is None:
            return False
        there = transformed(point, self.canvas.mapSettings().destinationCrs(), layer.crs())
        return there is not None and layer.extent().contains(there)

    def _fill_menu(self, menu: QMenu, event: QgsMapMouseEvent) -> None:
        point = event.mapPoint()
        menu.addSeparator()
        if not self.covering(point):
            menu.addAction(icon("icon"), tr("Text search: {}").format(self.missing(point))).setEnabled(False)
            return
        crs = self.canvas.mapSettings().destinationCrs()
        example = partial(self.dock.example_at, point, crs)
        menu.addAction(icon("describe"), tr("Describe this tile"), partial(self.dock.describe_at, point, crs))
        menu.addAction(icon("search"), tr("Find similar tiles"), partial(example, True, alone=True))
        menu.addAction(icon("more"), tr("More like this"), partial(example, True))
        menu.addAction(icon("less"), tr("Less like this"), partial(example, False))

    def _index_current(self) -> None:
        layer = self.iface.layerTreeView().currentLayer()
        if isinstance(layer, QgsRasterLayer):
            self.dock.index_layer(layer.id())

    def _use_tool(self) -> None:
        self.canvas.setMapTool(self.tool)

    def _clicked(self, point: QgsPointXY, button: Qt.MouseButton) -> None:
        if button != Qt.MouseButton.LeftButton:
            return
        if self.covering(point):
            self.dock.describe_at(point, self.canvas.mapSettings().destinationCrs())
        else:
            self.dock.messages.warn(tr("Nothing to describe here:"), self.missing(point))
