"""The filter in QGIS's locator bar."""

from __future__ import annotations

import pytest
from qgis.core import QgsFeedback, QgsLocator, QgsLocatorContext, QgsLocatorResult, QgsSettings

from rs_text_search_plugin.gui.locator import SearchLocator
from rs_text_search_plugin.gui.query_bar import HISTORY


@pytest.fixture
def asked():
    return []


@pytest.fixture
def locator(qgis_app, asked):
    before = QgsSettings().value(HISTORY, [], list)
    QgsSettings().setValue(HISTORY, ["storage tanks near the sea", "forest"])
    locator = QgsLocator()
    locator.registerFilter(SearchLocator(asked.append))
    yield locator
    QgsSettings().setValue(HISTORY, before)


def results(locator, qtbot, text):
    found = []  # copies: what the signal carries is gone after it
    locator.foundResult.connect(lambda result: found.append(QgsLocatorResult(result)))
    with qtbot.waitSignal(locator.finished, timeout=5000):
        locator.fetchResults(text, QgsLocatorContext(), QgsFeedback())
    return found


def test_the_words_come_first_then_earlier_searches(locator, qtbot):
    found = results(locator, qtbot, "ts storage tanks")
    assert [result.displayString for result in found] == [
        "Search rasters for “storage tanks”",
        "storage tanks near the sea",
    ]


def test_choosing_one_searches(locator, qtbot, asked):
    result = results(locator, qtbot, "ts storage tanks")[0]
    result.filter.triggerResult(result)
    assert asked == ["storage tanks"]


def test_without_the_prefix_it_keeps_out_of_the_way(locator, qtbot):
    assert results(locator, qtbot, "storage tanks") == []


def test_the_panel_shows_and_searches(panel, add_raster, qtbot):
    add_raster("scene", indexed=True)
    qtbot.waitUntil(lambda: panel.rasters.indexes() != [], timeout=8000)
    panel.hide()
    panel.search_for("storage tanks")
    assert panel.isVisible()
    assert panel.bar.text.text() == "storage tanks"
    qtbot.waitUntil(lambda: panel.results.gallery.model().rowCount() > 0, timeout=8000)
