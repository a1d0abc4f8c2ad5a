"""Rasters and their indexes: what there is, what indexing would cost, and doing it."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProject
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QVBoxLayout, QWidget

from rs_text_search_plugin.engine_process.client import EngineClient
from rs_text_search_plugin.gui.wording import count, duration

from .index_panel import IndexPanel
from .index_queue import IndexQueue, arguments
from .raster_list import COMPLETE, OTHER_MODEL, Raster, RasterList


class RasterPanel(QgsCollapsibleGroupBox):
    """Keeps the list of rasters, the index settings and the queue in step."""

    refreshed = pyqtSignal()
    """The states of the indexes are known anew."""
    indexed = pyqtSignal(str, str)
    """A raster is indexed: a sentence and its details."""
    failed = pyqtSignal(object)
    """An EngineError."""

    def __init__(self, engine: EngineClient, parent: QWidget | None = None) -> None:
        super().__init__("Rasters", parent)
        self.setObjectName("rasters")
        self.engine = engine
        self.list = RasterList(self)
        self.indexing = IndexPanel(self)
        self.queue = IndexQueue(engine, self)
        self._planned: list[dict[str, Any]] = []
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.addWidget(self.list)
        column.addWidget(self.indexing)
        self._connect()
        self.list.sync()

    def detach(self) -> None:
        """Let go of the project and stop what runs."""
        self.queue.cancel()
        self.list.detach()
        QgsProject.instance().layersWillBeRemoved.disconnect(self._layers_leave)

    def searched(self) -> list[Raster]:
        """Checked rasters that have an index."""
        return [raster for raster in self.list.checked() if raster.searchable]

    def indexes(self) -> list[str]:
        """Index folders of the checked rasters."""
        return [raster.info["index"] for raster in self.searched()]

    def why_none(self) -> str:
        """Why no checked raster can be searched, and what to do."""
        models = self._other_models()
        if models:
            return f"Indexed with {models}: choose that model under Settings, or index again."
        return "None of the checked rasters is indexed yet: press Index first."

    def names(self) -> dict[str, str]:
        """Index folder -> what its raster is called in the project."""
        return {raster.info["index"]: raster.name for raster in self.list.rasters if raster.info}

    def refresh(self) -> None:
        """Ask the engine for the state of every index."""
        sources = self.list.sources()
        if not sources or not self.engine.is_ready():
            self._show_due()
            return

        def take(answer: dict[str, Any]) -> None:
            self.list.show_states(dict(zip(sources, answer["indexes"])))
            self._show_due()

        model = {name: value for name, value in self.indexing.options().items() if name == "model"}
        self.engine.request("info", {"sources": sources, **model}, take, self.failed.emit)

    def index_layer(self, layer_id: str) -> None:
        """Index one layer with the settings shown."""
        self.queue.add([r for r in self.list.rasters if r.layer_id == layer_id], self.indexing.options())

    def _due(self) -> list[Raster]:
        return [raster for raster in self.list.checked() if raster.state != COMPLETE]

    def _other_models(self) -> str:
        """Models that checked rasters are indexed with, other than the one chosen."""
        made = {raster.info["model"] for raster in self.list.checked() if raster.state == OTHER_MODEL}
        return " and ".join(sorted(made))

    def _show_due(self) -> None:
        self.setTitle(f"Rasters ({len(self.searched())} of {len(self.list.rasters)} searched)")
        if not self.queue.running():
            due = self._due()
            self.indexing.show_due(len(due))
            self._plan(due)
        self.refreshed.emit()

    def _plan(self, due: list[Raster]) -> None:
        """Ask for an estimate unless it would be the same: the engine measures its speed for it."""
        options = self.indexing.options()
        question = [arguments(raster, options) for raster in due]
        if due and self.engine.is_ready() and question != self._planned:
            self._planned = question
            self.indexing.estimate.setText("Estimating ...")
            self.queue.plan(due, options, self._show_plans)

    def _show_plans(self, plans: list[dict[str, Any]]) -> None:
        if not self.queue.running():
            models = self._other_models()
            self.indexing.show_plans(plans, [f"replaces the index made with {models}"] if models else [])

    def _index_due(self) -> None:
        self.queue.add(self._due(), self.indexing.options())

    def _rebuild(self, layer_id: str) -> None:
        again = [raster for raster in self.list.rasters if raster.layer_id == layer_id]
        self.queue.add(again, {**self.indexing.options(), "mode": "restart"})

    def _indexed(self, name: str, report: dict[str, Any]) -> None:
        details = f"{count(report['tiles'], 'tile')} in {duration(report['seconds'])} on {report['device']}"
        skipped = len(report["unreadable"])
        self.indexed.emit(
            f"{name} is indexed.",
            details + (f"; {count(skipped, 'part')} could not be read" if skipped else ""),
        )

    def _ended(self) -> None:
        self.indexing.end_progress()
        self._planned = []
        self.refresh()

    def _layers_leave(self, layer_ids: list[str]) -> None:
        self.queue.drop(set(layer_ids))

    def _connect(self) -> None:
        self.list.changed.connect(self.refresh)
        self.list.rebuild_wanted.connect(self._rebuild)
        self.indexing.index_wanted.connect(self._index_due)
        self.indexing.cancel_wanted.connect(self.queue.cancel)
        self.indexing.settings_changed.connect(self.refresh)
        self.queue.progress.connect(self.indexing.show_progress)
        self.queue.indexed.connect(self._indexed)
        self.queue.failed.connect(self.failed)
        self.queue.ended.connect(self._ended)
        QgsProject.instance().layersWillBeRemoved.connect(self._layers_leave)
