"""The search in QGIS's locator bar: Ctrl+K, `ts`, and the words."""

from __future__ import annotations

from typing import Callable

from qgis.core import QgsFeedback, QgsLocatorContext, QgsLocatorFilter, QgsLocatorResult, QgsSettings

from rs_text_search_plugin.assets import icon
from rs_text_search_plugin.translation import tr

from .query_bar import HISTORY

PREFIX = "ts "
"""QGIS takes prefixes of three letters and more from plugins, so this one is told apart here."""
EARLIER = 5
"""Earlier searches that are offered, those that hold what is typed."""


class SearchLocator(QgsLocatorFilter):
    """Offers to search the ticked rasters for what is typed, and earlier searches like it."""

    def __init__(self, search: Callable[[str], None]) -> None:
        super().__init__()
        self._search = search
        self.setUseWithoutPrefix(True)

    def clone(self) -> SearchLocator:
        """What QGIS asks for results."""
        return SearchLocator(self._search)

    def flags(self) -> QgsLocatorFilter.Flags:
        """Nothing here takes time, so that no thread is needed."""
        return QgsLocatorFilter.Flags(QgsLocatorFilter.Flag.FlagFast)

    def name(self) -> str:
        return "rs_text_search"

    def displayName(self) -> str:  # noqa: N802 - QGIS's name
        return tr("Search rasters with words")

    def fetchResults(  # noqa: N802 - QGIS's name
        self, string: str | None, context: QgsLocatorContext, feedback: QgsFeedback | None
    ) -> None:
        """The words themselves first, then earlier searches."""
        typed = words(string or "", context.usingPrefix)
        if typed is None:
            return
        if typed:
            self._offer(typed, tr("Search rasters for “{}”").format(typed), 1.0)
        for text in earlier(typed):
            self._offer(text, text, 0.5)

    def triggerResult(self, result: QgsLocatorResult) -> None:  # noqa: N802 - QGIS's name
        """Search for what was chosen."""
        self._search(str(result.userData))  # type: ignore[attr-defined]  # missing in the stubs

    def _offer(self, text: str, shown: str, score: float) -> None:
        result = QgsLocatorResult()
        result.filter, result.userData = self, text  # type: ignore[attr-defined]
        result.displayString, result.score = shown, score
        result.icon = icon("search")
        self.resultFetched.emit(result)


def words(typed: str, prefix_taken: bool) -> str | None:
    """What follows the prefix; None where it is not ours to answer. QGIS takes off a prefix that the person set."""
    if prefix_taken:
        return typed.strip()
    return typed[len(PREFIX) :].strip() if typed.lower().startswith(PREFIX) else None


def earlier(typed: str) -> list[str]:
    """Earlier searches that hold what is typed, the latest first."""
    history = QgsSettings().value(HISTORY, [], list)
    return [text for text in history if typed.lower() in text.lower() and text != typed][:EARLIER]
