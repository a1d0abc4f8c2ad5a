"""Indexes rasters one after another and asks beforehand what that will cost."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

from qgis.PyQt.QtCore import QObject, pyqtSignal

from rs_text_search_plugin.engine_process.client import EngineClient, EngineError
from rs_text_search_plugin.engine_process.tasks import EngineTask
from rs_text_search_plugin.translation import tr

from .raster import Raster

Json = dict[str, Any]
REPLACE = {"mode": "restart"}
"""Make the index anew."""


def arguments(raster: Raster, options: Json) -> Json:
    """Arguments of `plan` and `index` for a raster."""
    bands = {"bands": raster.bands} if raster.bands else {}
    anew = REPLACE if raster.outdated else {}
    return {"source": raster.source, **bands, **anew, **options}


class IndexQueue(QObject):
    """At most one raster is indexed at a time, the rest waits."""

    progress = pyqtSignal(object, dict)
    """The raster and the engine's progress, empty at the start."""
    indexed = pyqtSignal(object, dict)
    """The raster and the engine's result."""
    failed = pyqtSignal(object, object)
    """The raster and an EngineError; the queue goes on with the next raster."""
    ended = pyqtSignal()

    def __init__(self, engine: EngineClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.engine = engine
        self.current: Raster | None = None
        self._waiting: list[tuple[Raster, Json]] = []
        self._task: EngineTask | None = None
        self._plans = 0  # number of the estimate under way; answers to older ones are dropped

    def running(self) -> bool:
        """Whether a raster is being indexed."""
        return self.current is not None

    def add(self, rasters: list[Raster], options: Json) -> None:
        """Index these rasters after those that wait already."""
        queued = {raster.source for raster, _ in self._waiting}
        queued.add(self.current.source if self.current else "")
        self._waiting += [(raster, options) for raster in rasters if raster.source not in queued]
        if not self.running():
            self._next()

    def cancel(self) -> None:
        """Stop the raster at work (what is done is kept) and forget the waiting ones."""
        self._waiting = []
        if self._task is not None:
            self._task.cancel()

    def remove(self, layer_ids: set[str]) -> None:
        """Forget rasters whose layers are gone."""
        self._waiting = [entry for entry in self._waiting if entry[0].layer_id not in layer_ids]
        if self._task is not None and self.current is not None and self.current.layer_id in layer_ids:
            self._task.cancel()

    def forget(self) -> None:
        """The engine is gone: nothing runs and nothing waits any more."""
        self._waiting, self._task = [], None
        if self.running():
            self.current = None
            self.ended.emit()

    def plan(self, rasters: list[Raster], options: Json, show: Callable[[list[Json]], None]) -> None:
        """Ask what indexing would cost; `show` gets a plan for each raster that can be planned."""
        self._plans += 1
        plans: list[Json | None] = []

        def take(number: int, plan: Json | None) -> None:
            plans.append(plan)
            if len(plans) == len(rasters) and number == self._plans:
                show([plan for plan in plans if plan is not None])

        answered = partial(take, self._plans)
        for raster in rasters:
            self.engine.request("plan", arguments(raster, options), answered, lambda _: answered(None))

    def _next(self) -> None:
        self._task = None
        if not self._waiting:
            self.current = None
            self.ended.emit()
            return
        raster, options = self._waiting.pop(0)
        self.current = raster
        self.progress.emit(raster, {})
        self._task = EngineTask(self.engine, tr("Index {}").format(raster.name))
        show = partial(self.progress.emit, raster)
        done, failed = partial(self._done, raster), partial(self._failed, raster)
        self._task.start("index", arguments(raster, options), done, failed, show)

    def _done(self, raster: Raster, result: Json) -> None:
        self.indexed.emit(raster, result)
        self._next()

    def _failed(self, raster: Raster, error: EngineError) -> None:
        self.failed.emit(raster, error)
        self._next()
