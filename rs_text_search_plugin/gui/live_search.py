"""One search at a time. With reranking there are two answers: the first at once, the second in a better order."""

from __future__ import annotations

from typing import Any, Callable

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from rs_text_search_plugin.engine_process.client import EngineClient, EngineError, Json

SLOW_MS = 400  # a search that takes longer says so; the first one loads the model


class LiveSearch(QObject):
    """Starting a search drops the one under way: nobody waits for what is no longer asked."""

    found = pyqtSignal(dict)
    """A result; a reranked one replaces that of the same query."""
    failed = pyqtSignal(object)
    """An EngineError: there is no result."""
    kept = pyqtSignal(object)
    """An EngineError: the best matches could not be reranked, the result at hand stands."""
    said = pyqtSignal(str)
    """How far it is."""

    def __init__(self, engine: EngineClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.engine = engine
        self._request = 0  # id of the search under way, 0 for none
        self._turn = 0  # number of the search under way; answers to older ones are dropped
        self._slow = QTimer(self)
        self._slow.setSingleShot(True)
        self._slow.setInterval(SLOW_MS)
        self._slow.timeout.connect(lambda: self.said.emit("Searching ..."))

    def start(self, arguments: Json, rerank: bool) -> None:
        """Search, and then rerank what was found if the query has words."""

        def take(result: Json) -> None:
            self.found.emit(result)
            if rerank and arguments.get("text") and result["matches"]:
                self._rerank(result)

        self.drop()
        self._slow.start()
        self._ask("search", arguments, take, self.failed.emit)

    def drop(self) -> None:
        """Forget the search under way."""
        self.engine.cancel(self._request)
        self._end()

    def _rerank(self, first: Json) -> None:
        self.said.emit(f"{first['verdict']} Reranking the best ...")
        self._ask("rerank", {"result": first["result"]}, self.found.emit, self.kept.emit)

    def _ask(
        self,
        op: str,
        arguments: Json,
        take: Callable[[Json], None],
        fail: Callable[[EngineError], None],
    ) -> None:
        turn = self._turn

        def unless_dropped(then: Callable[[Any], None]) -> Callable[[Any], None]:
            def hear(answer: Any) -> None:
                if turn == self._turn:
                    self._end()
                    then(answer)

            return hear

        self._request = self.engine.request(op, arguments, unless_dropped(take), unless_dropped(fail))

    def _end(self) -> None:
        self._request = 0
        self._turn += 1
        self._slow.stop()
