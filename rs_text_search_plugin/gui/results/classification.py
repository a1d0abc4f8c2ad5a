"""Searches for a list of phrases, one after the other, and hands out the classified tiles."""

from __future__ import annotations

from qgis.PyQt.QtCore import QObject, pyqtSignal

from rs_text_search_plugin.engine_process.client import EngineClient, Json
from rs_text_search_plugin.results_store.classification import classified, requests_for


class Classification(QObject):
    """At most one at a time: starting another drops the one under way."""

    done = pyqtSignal(dict, dict)
    """What was asked (`phrases`, and where), and the result of all phrases."""
    failed = pyqtSignal(object)
    """An EngineError."""

    def __init__(self, engine: EngineClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.engine = engine
        self._asked: Json = {}
        self._answers: list[Json] = []
        self._waiting: list[Json] = []
        self._request = 0  # id of the search under way, 0 for none

    def start(self, phrases: list[str], where: Json) -> None:
        """Search for all phrases; `where` holds `indexes` and perhaps `area`."""
        self.engine.cancel(self._request)
        self._asked = {**where, "phrases": phrases}
        self._answers, self._waiting = [], requests_for(phrases, where)
        self._next()

    def _next(self) -> None:
        if not self._waiting:
            self._request = 0
            self.done.emit(self._asked, classified(self._asked["phrases"], self._answers))
            return
        asked = self._asked

        def take(answer: Json) -> None:
            if asked is self._asked:
                self._answers.append(answer)
                self._next()

        self._request = self.engine.request("search", self._waiting.pop(0), take, self.failed.emit)
