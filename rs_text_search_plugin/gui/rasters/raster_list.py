"""The project's raster layers, each with a check box and the state of its index."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QPoint, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QMenu, QTreeWidget, QTreeWidgetItem, QWidget

from rs_text_search_plugin.gui.wording import count
from rs_text_search_plugin.map.layer_group import RESULT_PROPERTY
from rs_text_search_plugin.map.raster_source import shown_bands, source_of

COMPLETE = "complete"
SEARCHABLE = (COMPLETE, "unfinished")
ROWS_MIN, ROWS_MAX = 2, 6
OTHER_MODEL = "other-model"
OUTDATED = ("stale", OTHER_MODEL, "damaged")
STATE_WORDS = {"none": "not indexed", "stale": "raster changed", "damaged": "index damaged"}


@dataclass
class Raster:
    """A raster layer of the project. `reason` says why it cannot be indexed, empty when it can."""

    layer_id: str
    name: str
    source: str = ""
    reason: str = ""
    bands: list[int] = field(default_factory=list)
    """The bands the layer shows as red, green and blue, 1-based; empty for the engine's choice."""
    info: dict[str, Any] = field(default_factory=dict)
    """What the engine says about its index; empty until asked."""

    @property
    def state(self) -> str:
        return str(self.info.get("state", ""))

    @property
    def searchable(self) -> bool:
        return self.state in SEARCHABLE and bool(self.info["tiles"])


def raster_of(layer: QgsRasterLayer) -> Raster:
    """What the panel needs to know of a raster layer."""
    if layer.providerType() != "gdal":
        reason = f"Only what GDAL reads can be indexed; this layer comes from '{layer.providerType()}'."
        return Raster(layer.id(), layer.name(), reason=reason)
    if not layer.isValid():
        return Raster(
            layer.id(), layer.name(), reason="The raster cannot be opened. Repair the layer's data source."
        )
    return Raster(layer.id(), layer.name(), source_of(layer), bands=shown_bands(layer))


def state_words(info: dict[str, Any]) -> str:
    """The state of an index in two or three words."""
    if info["state"] == COMPLETE:
        return count(info["tiles"], "tile")
    if info["state"] == "unfinished":
        return f"unfinished, {100 * info['tiles'] // max(1, info['tiles_planned'])} %"
    if info["state"] == OTHER_MODEL:
        return f"made with {info['model']}"
    return STATE_WORDS.get(info["state"], str(info["state"]))


def detail(info: dict[str, Any]) -> str:
    """The state of an index in a sentence, and what to do about it."""
    said: str = info.get("detail", "")
    if info.get("state") == OTHER_MODEL:
        said += "; to search it choose that model under Settings, or index the raster again"
    return said


class RasterList(QTreeWidget):
    """Follows the project. `changed` tells that rasters came, went or were (un)checked."""

    changed = pyqtSignal()
    rebuild_wanted = pyqtSignal(str)
    """Id of a layer whose index should be made anew."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rasters: list[Raster] = []
        self._unchecked: set[str] = set()  # layer ids; everything else is searched
        self.setHeaderLabels(["Raster", "Index"])
        self.setRootIsDecorated(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.header().setStretchLastSection(False)
        self.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.setAccessibleName("Rasters to search")
        self.setToolTip("Checked rasters are searched. Each shows the state of its index.")
        self.itemChanged.connect(self._remember_check)
        self.customContextMenuRequested.connect(self._open_menu)
        self._project = QgsProject.instance()
        self._project.layersAdded.connect(self.sync)
        self._project.layersRemoved.connect(self.sync)

    def detach(self) -> None:
        """Stop following the project."""
        self._project.layersAdded.disconnect(self.sync)
        self._project.layersRemoved.disconnect(self.sync)

    def sync(self) -> None:
        """Read the raster layers off the project, keeping what is known about those that stayed."""
        known = {raster.source: raster.info for raster in self.rasters}
        layers = [layer for layer in self._project.mapLayers().values() if isinstance(layer, QgsRasterLayer)]
        layers = [layer for layer in layers if not layer.customProperty(RESULT_PROPERTY)]
        before = {raster.layer_id for raster in self.rasters}
        self.rasters = sorted((raster_of(layer) for layer in layers), key=lambda raster: raster.name.lower())
        for raster in self.rasters:
            raster.info = known.get(raster.source, {})
        self._fill()
        if before != {raster.layer_id for raster in self.rasters}:
            self.changed.emit()

    def show_states(self, infos: dict[str, dict[str, Any]]) -> None:
        """Take what the engine says about the index of each source."""
        for raster in self.rasters:
            raster.info = infos.get(raster.source, raster.info)
        self._fill()

    def sources(self) -> list[str]:
        """Sources of all rasters that can be indexed."""
        return [raster.source for raster in self.rasters if not raster.reason]

    def checked(self) -> list[Raster]:
        """Rasters that are checked and can be indexed."""
        return [
            raster for raster in self.rasters if not raster.reason and raster.layer_id not in self._unchecked
        ]

    def raster(self, layer_id: str) -> Raster | None:
        """The raster of a layer, None when it is gone."""
        return next((raster for raster in self.rasters if raster.layer_id == layer_id), None)

    def menu(self, raster: Raster) -> QMenu:
        """What can be done with one raster."""
        menu = QMenu(self)
        action = menu.addAction("Index again from scratch", lambda: self.rebuild_wanted.emit(raster.layer_id))
        action.setEnabled(not raster.reason)
        return menu

    def _fill(self) -> None:
        self.blockSignals(True)
        self.clear()
        for raster in self.rasters:
            self.addTopLevelItem(self._item(raster))
        self.blockSignals(False)
        self._fit_height()

    def _fit_height(self) -> None:
        """As high as the list is long, within limits, so that the matches get the rest."""
        rows = min(max(len(self.rasters), ROWS_MIN), ROWS_MAX)
        row = self.sizeHintForRow(0) if self.rasters else self.fontMetrics().height() + 4
        self.setFixedHeight(self.header().sizeHint().height() + rows * row + 2 * self.frameWidth())

    def _item(self, raster: Raster) -> QTreeWidgetItem:
        item = QTreeWidgetItem([raster.name, self._state(raster)])
        item.setData(0, Qt.ItemDataRole.UserRole, raster.layer_id)
        if raster.reason:
            item.setFlags(Qt.ItemFlag.ItemIsSelectable)
        else:
            on = raster.layer_id not in self._unchecked
            item.setCheckState(0, Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        for column in (0, 1):
            item.setToolTip(column, raster.reason or detail(raster.info) or raster.source)
        return item

    @staticmethod
    def _state(raster: Raster) -> str:
        if raster.reason:
            return "cannot be indexed"
        return state_words(raster.info) if raster.info else "..."

    def _remember_check(self, item: QTreeWidgetItem) -> None:
        layer_id = item.data(0, Qt.ItemDataRole.UserRole)
        if item.checkState(0) == Qt.CheckState.Checked:
            self._unchecked.discard(layer_id)
        else:
            self._unchecked.add(layer_id)
        self.changed.emit()

    def _open_menu(self, position: QPoint) -> None:
        item = self.itemAt(position)
        raster = self.raster(item.data(0, Qt.ItemDataRole.UserRole)) if item else None
        if raster is not None:
            self.menu(raster).exec(self.viewport().mapToGlobal(position))
