"""Rasters and their indexes: what there is, what indexing would cost, and doing it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Callable

from qgis.core import QgsProject
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import QElapsedTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QMessageBox, QVBoxLayout, QWidget

from rs_text_search_plugin.engine_process.client import EngineClient, EngineError
from rs_text_search_plugin.gui.controls import fill, wrapped_label
from rs_text_search_plugin.gui.quantities import duration, rasters, tiles
from rs_text_search_plugin.map.search_area import SearchArea, covers_area
from rs_text_search_plugin.translation import tr, tr_count

from .index_panel import IndexPanel, percent
from .index_queue import REPLACE, IndexQueue, arguments
from .raster import Raster
from .raster_list import RasterList

Json = dict[str, Any]
REFRESH_MS = 3000
MARGIN = 6
"""px"""


class RasterPanel(QgsCollapsibleGroupBox):
    """Keeps the list of rasters, the index settings and the queue in step; one line once all is indexed."""

    refreshed = pyqtSignal()
    """The states of the indexes are known anew."""
    indexed = pyqtSignal(str, str)
    """A raster is indexed: a sentence and its details."""
    failed = pyqtSignal(object)
    """An EngineError."""

    def __init__(self, engine: EngineClient, parent: QWidget | None = None) -> None:
        super().__init__(tr("Rasters"), parent)
        self.setObjectName("rasters")
        self.setSaveCollapsedState(False)
        self.engine = engine
        self.list = RasterList(self)
        self.failures = wrapped_label(self, tr("Rasters that could not be indexed"))
        self.indexing = IndexPanel(self)
        self.queue = IndexQueue(engine, self)
        self.area: Callable[[], SearchArea | None] = lambda: None  # where to index; None: everywhere
        self._planned: list[Json] = []
        self._progress: Json = {}
        self._since_refresh = QElapsedTimer()
        self._settled = False  # nothing is left to index: the box is one line unless the person opens it
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        fill(layout, self.list, self.failures, self.indexing)
        self._connect()
        self.list.sync()

    def detach(self) -> None:
        """Let go of the project and stop what runs."""
        self.queue.cancel()
        self.list.detach()
        QgsProject.instance().layersWillBeRemoved.disconnect(self._remove)

    # ---- what is searched ----

    def searchable(self) -> list[Raster]:
        """Checked rasters that have an index."""
        return [raster for raster in self.list.checked() if raster.searchable]

    def searched(self) -> list[Raster]:
        """Those of `searchable` that one search can take: indexed with the model of most of them."""
        able = self.searchable()
        models = Counter(raster.info["model"] for raster in able)
        chosen = self._options().get("model")
        best = max(models, key=lambda model: (models[model], model == chosen), default=None)
        return [raster for raster in able if raster.info["model"] == best]

    def indexes(self) -> list[str]:
        """Index folders of the rasters that are searched."""
        return [raster.index for raster in self.searched()]

    def stamps(self) -> set[tuple[str, int, int]]:
        """What a search reads now; it differs once a raster came, went, or was indexed anew."""
        return {raster.stamp() for raster in self.searched()}

    def left_out(self) -> str:
        """Which indexed rasters are not searched, and why; empty when all are."""
        searched = self.searched()
        others = [raster for raster in self.searchable() if raster not in searched]
        if not others:
            return ""
        names = ", ".join(f"{raster.name} ({raster.info['model']})" for raster in others)
        return tr(
            "Indexed with another model and not searched: {}. Uncheck the rest to search there."
        ).format(names)

    def reason_for_none(self) -> str:
        """Why no checked raster can be searched, and what to do."""
        if self.queue.current is not None:
            text = tr("{} is being indexed ({} %). The search starts by itself as soon as there are tiles.")
            return text.format(self.queue.current.name, percent(self._progress))
        refused = [raster.mismatch for raster in self.list.checked() if raster.mismatch]
        return next(iter(refused), tr("None of the checked rasters is indexed yet: press Index first."))

    def progress_note(self) -> str:
        """What a search meanwhile answers from."""
        if self.queue.current is None:
            return ""
        text = tr("{} is being indexed ({} %); the search answers from the tiles that are done.")
        return text.format(self.queue.current.name, percent(self._progress))

    def names(self) -> dict[str, str]:
        """Index folder -> what its raster is called in the project."""
        return {raster.index: raster.name for raster in self.list.rasters if raster.index}

    # ---- states ----

    def refresh(self) -> None:
        """Ask the engine for the state of every index."""
        sources = self.list.sources()
        if not sources or not self.engine.is_ready():
            self._show_due()
            return

        def take(answer: Json) -> None:
            self._since_refresh.start()
            self.list.show_states(dict(zip(sources, answer["indexes"])))
            self._show_due()

        self._since_refresh.start()
        self.engine.request("info", {"sources": sources}, take, self.failed.emit)

    def index_layer(self, layer_id: str) -> None:
        """Index one layer with the settings shown."""
        chosen = [raster for raster in self.list.rasters if raster.layer_id == layer_id]
        self.queue.add(chosen, self._options())

    def refuse(self, error: EngineError) -> None:
        """The engine cannot search an index that it names, so offer to make it anew."""
        for raster in self.searched():
            if Path(raster.index).name in error.message:
                self.list.show_mismatch(raster.source, str(error))
        self._show_due()

    def _due(self) -> list[Raster]:
        return [raster for raster in self.list.checked() if raster.due]

    def _compare_settings(self) -> None:
        settings, area = self.indexing.settings, self.area()
        for raster in self.list.rasters:
            raster.settings_differ = raster.searchable and (
                settings.differ_from(raster.info) or not covers_area(raster.info, area)
            )

    def _options(self) -> Json:
        """Settings and area as arguments of `plan` and `index`."""
        area = self.area()
        return {**self.indexing.settings.options(), **(area.to_request() if area else {})}

    def _show_due(self) -> None:
        self._compare_settings()
        self._show_failures()
        due = self._due()
        self.setTitle(self._summary(len(due)))
        if not self.queue.running():
            self.indexing.show_due(len(due))
            self._plan(due)
            self._collapse(bool(self.list.checked()) and not due)
        self.refreshed.emit()

    def _summary(self, due: int) -> str:
        if due or not self.searchable():
            searchable, all_of_them = len(self.searchable()), len(self.list.rasters)
            return tr("Rasters ({} of {} indexed)").format(searchable, all_of_them)
        number = sum(raster.info["tiles"] for raster in self.searchable())
        return f"{rasters(len(self.searchable()))}, {tiles(number)}"

    def _collapse(self, settled: bool) -> None:
        """To one line once nothing is left to index, unless the person has the settings open."""
        if settled != self._settled:
            self._settled = settled
            self.setCollapsed(settled and not self.indexing.settings_button.isChecked())

    def _show_failures(self) -> None:
        failed = [raster for raster in self.list.rasters if raster.failure]
        self.failures.setText("\n".join(f"{raster.name}: {raster.failure}" for raster in failed))
        self.failures.setVisible(bool(failed))

    def follow_area(self) -> None:
        """The area has changed: other rasters may be due, and at another cost."""
        self._show_due()

    # ---- indexing ----

    def _plan(self, due: list[Raster]) -> None:
        """Ask for an estimate unless it would be the same: the engine measures its speed for it."""
        options = self._options()
        question = [arguments(raster, options) for raster in due]
        if due and self.engine.is_ready() and question != self._planned:
            self._planned = question
            self.indexing.estimate.setText(tr("Estimating ..."))
            self.queue.plan(due, options, self._show_plans)

    def _show_plans(self, plans: list[Json]) -> None:
        if not self.queue.running():
            models = sorted({raster.info["model"] for raster in self._due() if raster.outdated})
            note = tr("replaces the index made with {}").format(", ".join(map(str, models)))
            self.indexing.show_plans(plans, [note] if models else [])

    def _index_due(self) -> None:
        self.queue.add(self._due(), self._options())

    def _rebuild(self, layer_id: str) -> None:
        raster = self.list.raster(layer_id)
        if raster is not None and (not raster.searchable or self._may_replace(raster)):
            self.queue.add([raster], {**self._options(), **REPLACE})

    def _may_replace(self, raster: Raster) -> bool:
        question = tr(
            "Index {} again from scratch? Its present index ({}) stays until the new one is complete."
        )
        text = question.format(raster.name, tiles(raster.info["tiles"]))
        answer = QMessageBox.question(self, tr("Index again"), text)
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _refresh_soon(self) -> None:
        """Ask for the states every few seconds, so that what is done of an index can be searched."""
        if not self._since_refresh.isValid() or self._since_refresh.elapsed() > REFRESH_MS:
            self.refresh()

    def _show_progress(self, raster: Raster, progress: Json) -> None:
        self._progress = progress
        if not progress:
            self.list.show_failure(raster.source, "")
            self._show_failures()
            self._collapse(False)
        self.indexing.show_progress(raster.name, progress)
        if progress:
            self._refresh_soon()

    def _indexed(self, raster: Raster, report: Json) -> None:
        self.list.show_mismatch(raster.source, "")
        details = tr("{} in {} on {}").format(
            tiles(report["tiles"]), duration(report["seconds"]), report["device"]
        )
        unreadable = len(report["unreadable"])
        if unreadable:
            details += "; " + tr_count("%n tile could not be read", "%n tiles could not be read", unreadable)
        self.indexed.emit(tr("{} is indexed.").format(raster.name), details)

    def _index_failed(self, raster: Raster, error: EngineError) -> None:
        if error.kind != "Cancelled":
            self.list.show_failure(raster.source, str(error))
        self.failed.emit(error)

    def _ended(self) -> None:
        self.indexing.end_progress()
        self._planned = []
        self._progress = {}
        self.refresh()

    def _remove(self, layer_ids: list[str]) -> None:
        self.queue.remove(set(layer_ids))

    def _connect(self) -> None:
        self.list.changed.connect(self.refresh)
        self.list.rebuild_wanted.connect(self._rebuild)
        self.indexing.index_wanted.connect(self._index_due)
        self.indexing.cancel_wanted.connect(self.queue.cancel)
        self.indexing.settings.changed.connect(self._show_due)
        self.queue.progress.connect(self._show_progress)
        self.queue.indexed.connect(self._indexed)
        self.queue.failed.connect(self._index_failed)
        self.queue.ended.connect(self._ended)
        QgsProject.instance().layersWillBeRemoved.connect(self._remove)
