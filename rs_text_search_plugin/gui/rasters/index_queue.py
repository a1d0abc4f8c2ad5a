"""Indexes rasters one after another and asks beforehand what that will cost."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

from qgis.PyQt.QtCore import QObject, pyqtSignal

from rs_text_search_plugin.engine_process.client import EngineClient, EngineError
from rs_text_search_plugin.engine_process.tasks import EngineTask

from .raster_list import OUTDATED, Raster

Options = dict[str, Any]


def arguments(raster: Raster, options: Options) -> dict[str, Any]:
    """Arguments of `plan` and `index` for a raster."""
    bands = {"bands": raster.bands} if raster.bands else {}
    anew = {"mode": "restart"} if raster.state in OUTDATED else {}
    return {"source": raster.source, **bands, **anew, **options}


class IndexQueue(QObject):
    """At most one raster is indexed at a time, the rest waits."""

    progress = pyqtSignal(str, dict)
    """Name of the raster and the engine's progress, empty at the start."""
    indexed = pyqtSignal(str, dict)
    """Name of the raster and the engine's result."""
    failed = pyqtSignal(object)
    """An EngineError; the queue goes on with the next raster."""
    ended = pyqtSignal()

    def __init__(self, engine: EngineClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.engine = engine
        self._waiting: list[tuple[Raster, Options]] = []
        self._current: Raster | None = None
        self._task: EngineTask | None = None
        self._plans = 0  # number of the estimate under way; answers to older ones are dropped

    def running(self) -> bool:
        """Whether a raster is being indexed."""
        return self._current is not None

    def add(self, rasters: list[Raster], options: Options) -> None:
        """Index these rasters after those that wait already."""
        queued = {raster.source for raster, _ in self._waiting} | {
            self._current.source if self._current else ""
        }
        self._waiting += [(raster, options) for raster in rasters if raster.source not in queued]
        if not self.running():
            self._next()

    def cancel(self) -> None:
        """Stop the raster at work (what is done is kept) and forget the waiting ones."""
        self._waiting = []
        if self._task is not None:
            self._task.cancel()

    def drop(self, layer_ids: set[str]) -> None:
        """Forget rasters whose layers are gone."""
        self._waiting = [
            (raster, options) for raster, options in self._waiting if raster.layer_id not in layer_ids
        ]
        if self._task is not None and self._current is not None and self._current.layer_id in layer_ids:
            self._task.cancel()

    def forget(self) -> None:
        """The engine is gone: nothing runs and nothing waits any more."""
        self._waiting, self._task = [], None
        if self.running():
            self._current = None
            self.ended.emit()

    def plan(
        self, rasters: list[Raster], options: Options, show: Callable[[list[dict[str, Any]]], None]
    ) -> None:
        """Ask what indexing would cost; `show` gets a plan for each raster that can be planned."""
        self._plans += 1
        turn, left, plans = self._plans, [len(rasters)], []

        def take(plan: dict[str, Any] | None) -> None:
            left[0] -= 1
            if plan is not None:
                plans.append(plan)
            if left[0] == 0 and turn == self._plans:
                show(plans)

        for raster in rasters:
            self.engine.request("plan", arguments(raster, options), take, lambda error: take(None))

    def _next(self) -> None:
        self._task = None
        if not self._waiting:
            self._current = None
            self.ended.emit()
            return
        raster, options = self._waiting.pop(0)
        self._current = raster
        self.progress.emit(raster.name, {})
        self._task = EngineTask(self.engine, f"Index {raster.name}")
        show, done = partial(self.progress.emit, raster.name), partial(self._done, raster.name)
        self._task.start("index", arguments(raster, options), done, self._failed, show)

    def _done(self, name: str, result: dict[str, Any]) -> None:
        self.indexed.emit(name, result)
        self._next()

    def _failed(self, error: EngineError) -> None:
        self.failed.emit(error)
        self._next()
