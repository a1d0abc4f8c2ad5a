"""Phrases of the vocabulary that do stand out in the rasters searched, for a query that does not."""

from __future__ import annotations

from collections.abc import Hashable
from difflib import SequenceMatcher
from typing import Any

from qgis.PyQt.QtCore import QObject, pyqtSignal

from rs_text_search_plugin.contracts.scores import STRONG
from rs_text_search_plugin.engine_process.client import EngineClient, EngineError

Json = dict[str, Any]
PHRASES = 5
"""Phrases suggested at most."""


class Suggestions(QObject):
    """Asks the engine once what the rasters show and picks from that for every query."""

    found = pyqtSignal(list)
    """The phrases, the closest to the query first."""
    failed = pyqtSignal(object)
    """An EngineError."""

    def __init__(self, engine: EngineClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.engine = engine
        self._request = 0  # id of the request under way, 0 for none
        self._known: dict[Hashable, list[Json]] = {}

    def suggest(self, query: str, indexes: list[str], made_from: Hashable) -> None:
        """Find phrases for a query; `made_from` changes whenever the indexes do."""
        self.cancel()
        if made_from in self._known:
            self.found.emit(closest(query, self._known[made_from]))
            return

        def take(answer: Json) -> None:
            self._request = 0
            self._known = {made_from: answer["rows"]}
            self.found.emit(closest(query, answer["rows"]))

        self._request = self.engine.request("contents", {"indexes": indexes}, take, self._failed)

    def cancel(self) -> None:
        """Ask no more."""
        self.engine.cancel(self._request)
        self._request = 0

    def _failed(self, error: EngineError) -> None:
        self._request = 0
        if error.kind != "Cancelled":
            self.failed.emit(error)


def closest(query: str, rows: list[Json]) -> list[str]:
    """Names of what is strong somewhere: those that share words with the query, then those in most places."""
    strong = [row for row in rows if row["score"] >= STRONG]
    ranked = sorted(strong, key=lambda row: (-word_overlap(query, row["name"]), -row["places"]))
    return [row["name"] for row in ranked[:PHRASES]]


def word_overlap(query: str, phrase: str) -> float:
    """How many words of a phrase are in the query as well, 0-1; other forms of a word count."""
    asked, words = query.lower().split(), phrase.lower().split()
    shared = [
        max((SequenceMatcher(None, word, other).ratio() for other in asked), default=0.0) for word in words
    ]
    return sum(ratio for ratio in shared if ratio > 0.8) / max(1, len(words))
