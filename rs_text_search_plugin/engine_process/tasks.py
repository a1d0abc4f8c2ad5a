"""An engine operation in QGIS's task manager: progress and cancel there, the result on the main thread.

The work happens in the engine; the task only waits for it. So `run`, the one method on another thread,
touches nothing but an event. In general a task's `run` must not
- touch widgets, the canvas, iface or the message bar,
- create, read or change layers that belong to the project, or the project itself,
- use a QObject of the main thread, this plugin's EngineClient included,
- raise, print, or wait for the main thread, which may be waiting for the task.
"""

from __future__ import annotations

import threading
from typing import Any

from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import QThreadPool

from .client import EngineClient, Json, OnError, OnResult, ignore

_alive: set[EngineTask] = set()
"""QGIS does not keep a reference to the Python part of a task."""


class EngineTask(QgsTask):
    """Made, started and answered on the main thread."""

    def __init__(self, client: EngineClient, title: str) -> None:
        super().__init__(title, QgsTask.Flag.CanCancel)
        self._client = client
        self._request = 0
        self._answered = threading.Event()
        self._ok = False
        self._on_progress: OnResult = ignore

    def start(
        self,
        op: str,
        args: Json,
        on_result: OnResult = ignore,
        on_error: OnError = ignore,
        on_progress: OnResult = ignore,
    ) -> None:
        """Sends the operation and shows it in the task manager; callbacks as of `EngineClient.request`."""

        _alive.add(self)
        self._on_progress = on_progress
        self.taskCompleted.connect(self._forget)
        self.taskTerminated.connect(self._forget)
        self._client.stopped.connect(self._end_unanswered)
        self._request = self._client.request(
            op, args, self._then(True, on_result), self._then(False, on_error), self._show
        )
        QgsApplication.taskManager().addTask(self)

    def _then(self, ok: bool, tell: OnResult) -> OnResult:
        """The callback, after the task has ended."""

        def hear(answer: Any) -> None:
            self._end(ok)
            tell(answer)

        return hear

    def _show(self, progress: Json) -> None:
        if not self._answered.is_set():
            self.setProgress(100 * progress["done"] / max(1, progress["total"]))
        self._on_progress(progress)

    def run(self) -> bool:
        """Waits, and meanwhile gives its thread back to the pool that also draws the map."""
        pool = QThreadPool.globalInstance()
        pool.releaseThread()
        self._answered.wait()
        pool.reserveThread()
        return self._ok

    def cancel(self) -> None:
        """Asks the engine to stop, without waiting for it: the answer still goes to `on_error`."""
        self._client.cancel(self._request)
        self._end(False)
        super().cancel()

    def _end(self, ok: bool) -> None:
        if not self._answered.is_set():
            self._ok = ok
            self._client.stopped.disconnect(self._end_unanswered)
            self._answered.set()

    def _end_unanswered(self, _: Any) -> None:
        self._end(False)

    def _forget(self) -> None:
        _alive.discard(self)
