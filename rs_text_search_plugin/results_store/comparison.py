"""What changed between two answers to the same query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from qgis.PyQt.QtCore import QDate, QLocale

from rs_text_search_plugin.translation import tr, tr_count

from .stored_result import Json, StoredResult, shown_matches

Place = tuple[str, tuple[tuple[float, float], ...]]
"""Raster and footprint: tile ids count anew when a raster is indexed with other tiles."""


@dataclass(frozen=True)
class Change:
    """Matches that pass the filter in only one of two answers, best first."""

    new: list[Json]
    gone: list[Json]
    since: str
    """When the older one was made, ISO 8601."""

    def __str__(self) -> str:
        """3 new, 1 gone since 12 May."""
        new = tr_count("%n new", "%n new", len(self.new))
        gone = tr_count("%n gone", "%n gone", len(self.gone))
        return tr("{new}, {gone} since {date}").format(new=new, gone=gone, date=day(self.since))


def compare(old: StoredResult, new: StoredResult) -> Change:
    """The change from `old` to `new`, each through its own filter."""
    before, after = places(old), places(new)
    appeared = [match for place, match in after.items() if place not in before]
    gone = [match for place, match in before.items() if place not in after]
    return Change(appeared, gone, old.made)


def places(stored: StoredResult) -> dict[Place, Json]:
    """The matches shown, by where they are."""
    sources = {source["index"]: source["source"] for source in stored.result["sources"]}
    return {
        (sources[match["index"]], tuple((round(x, 6), round(y, 6)) for x, y in match["corners"])): match
        for match in shown_matches(stored)
    }


def day(made: str) -> str:
    """12 May, in the person's language; with the year when it is another one."""
    date = datetime.fromisoformat(made).date()
    layout = "d MMMM" if date.year == datetime.now().year else "d MMMM yyyy"
    return QLocale().toString(QDate(date.year, date.month, date.day), layout)
