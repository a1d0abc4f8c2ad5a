"""The project's raster layers, each with a check box and the state of its index."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QPoint, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QMenu, QTreeWidget, QTreeWidgetItem, QWidget

from rs_text_search_plugin.gui.controls import named
from rs_text_search_plugin.map.layer_group import RESULT_PROPERTY
from rs_text_search_plugin.translation import tr

from .raster import Raster, explanation, raster_of, state_text

ROWS_MIN, ROWS_MAX = 2, 6


class RasterList(QTreeWidget):
    """Follows the project. `changed` tells that rasters came, went or were (un)checked."""

    changed = pyqtSignal()
    rebuild_wanted = pyqtSignal(str)
    """Id of a layer whose index should be made anew."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rasters: list[Raster] = []
        self._unchecked: set[str] = set()  # layer ids; everything else is searched
        self._set_up()
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
        known = {raster.source: raster for raster in self.rasters}
        before = {raster.layer_id for raster in self.rasters}
        self.rasters = sorted(
            map(raster_of, rasters_of(self._project)), key=lambda raster: raster.name.lower()
        )
        for raster in self.rasters:
            if raster.source in known:
                before_it = known[raster.source]
                raster.info, raster.failure = before_it.info, before_it.failure
                raster.mismatch = before_it.mismatch
        self.show_rasters()
        if before != {raster.layer_id for raster in self.rasters}:
            self.changed.emit()

    def show_states(self, infos: dict[str, dict[str, Any]]) -> None:
        """Take what the engine reports about the index of each source."""
        for raster in self.rasters:
            raster.info = infos.get(raster.source, raster.info)
        self.show_rasters()

    def show_failure(self, source: str, reason: str) -> None:
        """Remember why a raster could not be indexed; an empty reason forgets it."""
        for raster in self.rasters:
            if raster.source == source:
                raster.failure = reason
        self.show_rasters()

    def show_mismatch(self, source: str, reason: str) -> None:
        """Remember why the index of a raster cannot be searched; an empty reason forgets it."""
        for raster in self.rasters:
            if raster.source == source:
                raster.mismatch = reason
        self.show_rasters()

    def show_rasters(self) -> None:
        """Draw the rows anew."""
        self.blockSignals(True)
        self.clear()
        for raster in self.rasters:
            self.addTopLevelItem(self._item(raster))
        self.blockSignals(False)
        self._fit_height()

    def sources(self) -> list[str]:
        """Sources of all rasters that can be indexed."""
        return [raster.source for raster in self.rasters if not raster.reason]

    def checked(self) -> list[Raster]:
        """Rasters that are checked and can be indexed."""
        able = [raster for raster in self.rasters if not raster.reason]
        return [raster for raster in able if raster.layer_id not in self._unchecked]

    def unticked(self) -> set[str]:
        """Ids of the layers that are not searched."""
        return set(self._unchecked)

    def untick(self, layer_ids: set[str]) -> None:
        """Search all layers but these."""
        self._unchecked = set(layer_ids)
        self.show_rasters()

    def raster(self, layer_id: str) -> Raster | None:
        """The raster of a layer, None when it is gone."""
        return next((raster for raster in self.rasters if raster.layer_id == layer_id), None)

    def menu(self, raster: Raster) -> QMenu:
        """What can be done with one raster."""
        menu = QMenu(self)
        rebuild = menu.addAction(tr("Index again from scratch ..."))
        rebuild.triggered.connect(lambda: self.rebuild_wanted.emit(raster.layer_id))
        rebuild.setEnabled(not raster.reason)
        return menu

    def _set_up(self) -> None:
        self.setHeaderLabels([tr("Raster"), tr("Index")])
        self.setRootIsDecorated(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.header().setStretchLastSection(False)
        self.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        tip = tr("Checked rasters are searched. Each shows the state of its index.")
        named(self, tr("Rasters to search"), tip)

    def _fit_height(self) -> None:
        """As high as the list is long, within limits, so that the matches get the rest."""
        rows = min(max(len(self.rasters), ROWS_MIN), ROWS_MAX)
        row = self.sizeHintForRow(0) if self.rasters else self.fontMetrics().height() + 4
        self.setFixedHeight(self.header().sizeHint().height() + rows * row + 2 * self.frameWidth())

    def _item(self, raster: Raster) -> QTreeWidgetItem:
        item = QTreeWidgetItem([raster.name, state_text(raster)])
        item.setData(0, Qt.ItemDataRole.UserRole, raster.layer_id)
        if raster.reason:
            item.setFlags(Qt.ItemFlag.ItemIsSelectable)
        else:
            on = raster.layer_id not in self._unchecked
            item.setCheckState(0, Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        for column in (0, 1):
            item.setToolTip(column, explanation(raster))
        return item

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


def rasters_of(project: QgsProject) -> list[QgsRasterLayer]:
    """The raster layers of a project that are not ours."""
    layers = [layer for layer in project.mapLayers().values() if isinstance(layer, QgsRasterLayer)]
    return [layer for layer in layers if not layer.customProperty(RESULT_PROPERTY)]
