"""The control that says where to search, and the dashed frame that shows it on the map."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsGeometry, QgsMapLayerProxyModel, QgsProject, QgsVectorLayer
from qgis.gui import QgsMapCanvas, QgsMapLayerComboBox, QgsRubberBand
from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QPushButton, QWidget

from rs_text_search_plugin.translation import tr

from .polygon_tool import PolygonTool, area_band
from .search_area import AreaKind, Json, SearchArea, selection_of, view_of

SETTLED_MS = 600  # the map rests this long before a search follows it


class AreaControl(QWidget):
    """`changed` when another area is to be searched; `area()` says which, None for whole rasters."""

    changed = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = canvas
        self.drawn: SearchArea | None = None
        self.tool = PolygonTool(canvas)
        self._band: QgsRubberBand | None = None
        self._selectable: QgsVectorLayer | None = None
        self._view: SearchArea | None = None  # the view that was searched last
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._build()
        self._connect()
        self._show_parts()

    def detach(self) -> None:
        """Let go of the map."""
        self.canvas.extentsChanged.disconnect(self._map_moved)
        self.canvas.destinationCrsChanged.disconnect(self._show_band)
        self.canvas.unsetMapTool(self.tool)
        self._watch(None)
        self._remove_band()

    @property
    def chosen(self) -> AreaKind:
        return AreaKind(self.kind.currentData())

    def area(self) -> SearchArea | None:
        """The polygon to search in; None for whole rasters, and where `missing` says what to do first."""
        if self.chosen is AreaKind.VIEW:
            return view_of(self.canvas)
        if self.chosen is AreaKind.SELECTION:
            return selection_of(self._polygon_layer())
        return self.drawn if self.chosen is AreaKind.DRAWN else None

    def missing(self) -> str:
        """What the person must do before the area is one; empty when it is."""
        if self.chosen is AreaKind.SELECTION and self.area() is None:
            return tr("Select one or more polygons of the layer chosen under “Where”.")
        if self.chosen is AreaKind.DRAWN and self.drawn is None:
            return tr("Draw the area on the map: click its corners, right-click to close it.")
        return ""

    def to_request(self) -> Json:
        """`area` and `area_crs` of a request to the engine; empty for whole rasters."""
        area = self.area()
        self._view = area if self.chosen is AreaKind.VIEW else None
        return area.to_request() if area is not None else {}

    def session(self) -> Json:
        """To be saved with the project."""
        layer = self.layer.currentLayer()
        saved: Json = {"kind": self.chosen.value, "follow": self.follow.isChecked()}
        saved["layer"] = layer.id() if layer is not None else ""
        saved["view"] = self._view.to_json() if self._view else None
        return {**saved, "drawn": self.drawn.to_json() if self.drawn else None}

    def restore(self, saved: Json) -> None:
        """What `session` gave; whole rasters for an empty one. Emits nothing."""
        self.blockSignals(True)
        drawn, view = (saved.get(name) for name in ("drawn", "view"))
        self.drawn = SearchArea.from_json(drawn) if drawn else None
        self._view = SearchArea.from_json(view) if view else None
        self.follow.setChecked(saved.get("follow", True))
        self.layer.setLayer(QgsProject.instance().mapLayer(saved.get("layer", "")))
        self.kind.setCurrentIndex(self.kind.findData(saved.get("kind", AreaKind.WHOLE.value)))
        self._show_parts()
        self.blockSignals(False)

    def _polygon_layer(self) -> QgsVectorLayer | None:
        layer = self.layer.currentLayer()
        return layer if isinstance(layer, QgsVectorLayer) else None

    # ---- the map ----

    def _draw(self) -> None:
        self.tool.start()

    def _take_drawn(self, polygon: QgsGeometry) -> None:
        self.drawn = SearchArea(polygon, self.canvas.mapSettings().destinationCrs())
        self._area_changed()

    def _map_moved(self) -> None:
        if self.chosen is AreaKind.VIEW and self.follow.isChecked():
            self._settled.start()

    def _view_settled(self) -> None:
        """Another view is another area; a map that was drawn anew, or came back, shows the same."""
        view = view_of(self.canvas)
        if self._view is None or not self._view.is_like(view):
            self._view = view
            self.changed.emit()

    def _watch(self, layer: QgsVectorLayer | None) -> None:
        """Follow the selection of one layer."""
        known = QgsProject.instance().mapLayers().values()
        if self._selectable is not None and self._selectable in known:
            self._selectable.selectionChanged.disconnect(self._area_changed)
        self._selectable = layer
        if layer is not None:
            layer.selectionChanged.connect(self._area_changed)

    def _area_changed(self, *_: Any) -> None:
        self._show_band()
        self.changed.emit()

    def _show_band(self) -> None:
        """Frame the area, unless it is all that is in view anyway."""
        area = self.area() if self.chosen in {AreaKind.SELECTION, AreaKind.DRAWN} else None
        if area is None:
            self._remove_band()
            return
        if self._band is None:
            self._band = area_band(self.canvas)
        self._band.setToGeometry(area.geometry, area.crs)

    def _remove_band(self) -> None:
        if self._band is not None:
            self.canvas.scene().removeItem(self._band)
            self._band = None

    # ---- widgets ----

    def _choose(self) -> None:
        self._show_parts()
        self.changed.emit()

    def _show_parts(self) -> None:
        """Only what belongs to the kind chosen."""
        self.follow.setVisible(self.chosen is AreaKind.VIEW)
        self.layer.setVisible(self.chosen is AreaKind.SELECTION)
        self.draw_button.setVisible(self.chosen is AreaKind.DRAWN)
        self._watch(self._polygon_layer() if self.chosen is AreaKind.SELECTION else None)
        self._show_band()

    def _layer_chosen(self) -> None:
        if self.chosen is AreaKind.SELECTION:
            self._choose()

    def _build(self) -> None:
        self.kind = QComboBox(self)
        for kind, text in (
            (AreaKind.WHOLE, tr("Whole rasters")),
            (AreaKind.VIEW, tr("Current view")),
            (AreaKind.SELECTION, tr("Selected polygons")),
            (AreaKind.DRAWN, tr("Drawn polygon")),
        ):
            self.kind.addItem(text, kind.value)
        self.follow = QCheckBox(tr("Follow the map"), self)
        self.follow.setChecked(True)
        self.layer = QgsMapLayerComboBox(self)
        self.layer.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.draw_button = QPushButton(tr("&Draw ..."), self)
        self._name_widgets()
        label = QLabel(tr("W&here"), self)
        label.setBuddy(self.kind)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        grid.addWidget(label, 0, 0)
        grid.addWidget(self.kind, 0, 1)
        for widget in (self.follow, self.layer, self.draw_button):
            grid.addWidget(widget, 1, 1)

    def _name_widgets(self) -> None:
        for widget, name, tip in (
            (self.kind, tr("Where to search"), tr("Search and index only in this area")),
            (self.follow, tr("Follow the map"), tr("Search again when the map was moved")),
            (self.layer, tr("Layer of the area"), tr("The selected polygons of this layer are searched")),
            (self.draw_button, tr("Draw the area"), tr("Click its corners; right-click to close it")),
        ):
            widget.setAccessibleName(name)
            widget.setToolTip(tip)

    def _connect(self) -> None:
        self.kind.currentIndexChanged.connect(self._choose)
        self.follow.toggled.connect(self._map_moved)
        self.layer.layerChanged.connect(self._layer_chosen)
        self.draw_button.clicked.connect(self._draw)
        self.tool.drawn.connect(self._take_drawn)
        self._settled.timeout.connect(self._view_settled)
        self.canvas.extentsChanged.connect(self._map_moved)
        self.canvas.destinationCrsChanged.connect(self._show_band)
