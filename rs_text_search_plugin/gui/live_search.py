"""One search at a time. With reranking there are two answers: the first at once, the second in a better order."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from rs_text_search_plugin.engine_process.client import EngineClient, EngineError, Json
from rs_text_search_plugin.translation import tr

SLOW_MS = 400
"""A search that takes longer shows so; the first one loads the model."""


class LiveSearch(QObject):
    """Starting a search cancels the one under way: nobody waits for what is no longer asked."""

    found = pyqtSignal(dict)
    """A result; a reranked one replaces that of the same query."""
    failed = pyqtSignal(object)
    """An EngineError: there is no result."""
    rerank_failed = pyqtSignal(object)
    """An EngineError: the result before stays."""
    status_changed = pyqtSignal(str)
    """How far it is."""

    def __init__(self, engine: EngineClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.engine = engine
        self._request = 0  # id of the request under way, 0 for none
        self._number = 0  # of the request under way; answers to older ones are ignored
        self._slow = QTimer(self)
        self._slow.setSingleShot(True)
        self._slow.setInterval(SLOW_MS)
        self._slow.timeout.connect(lambda: self.status_changed.emit(tr("Searching ...")))

    def start(self, arguments: Json, rerank: bool) -> None:
        """Search, and then rerank what was found if the query has words."""

        def take(result: Json) -> None:
            self.found.emit(result)
            if rerank and arguments.get("text") and result["matches"]:
                self._rerank(result)

        self.cancel()
        self._slow.start()
        self._ask("search", arguments, take, self.failed.emit)

    def running(self) -> bool:
        """Whether an answer is still to come."""
        return self._request != 0

    def cancel(self) -> None:
        """Cancel the search under way."""
        self.engine.cancel(self._request)
        self._end()

    def _rerank(self, first: Json) -> None:
        self.status_changed.emit(tr("{} Reranking the best ...").format(first["verdict"]))
        self._ask("rerank", {"result": first["result"]}, self.found.emit, self.rerank_failed.emit)

    def _ask(
        self,
        op: str,
        arguments: Json,
        take: Callable[[Json], None],
        fail: Callable[[EngineError], None],
    ) -> None:
        current = partial(self._if_current, self._number)
        self._request = self.engine.request(op, arguments, partial(current, take), partial(current, fail))

    def _if_current(self, number: int, then: Callable[[Any], None], answer: Any) -> None:
        if number == self._number:
            self._end()
            then(answer)

    def _end(self) -> None:
        self._request = 0
        self._number += 1
        self._slow.stop()
