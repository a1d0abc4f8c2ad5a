"""“Point at it”: marks inside the tiles of a result."""

from __future__ import annotations

import pytest

WAIT_MS = 8000


@pytest.fixture
def found(panel, add_raster, qtbot):
    """The panel with a result."""
    add_raster("scene", indexed=True)
    qtbot.waitUntil(lambda: panel.rasters.indexes() != [], timeout=WAIT_MS)
    panel.search_for("tanks")
    qtbot.waitUntil(lambda: panel.results.result != {}, timeout=WAIT_MS)
    return panel


@pytest.fixture
def pointed(found, qtbot):
    found.results.point_button.click()
    qtbot.waitUntil(lambda: found.pointing.marks.count() > 0, timeout=WAIT_MS)
    return found


def test_the_best_places_get_boxes_and_a_word(pointed):
    assert pointed.pointing.marks.count() == 12
    assert "12 places" in pointed.results.note.text()


def test_pressing_again_takes_them_off(pointed):
    pointed.results.point_button.click()
    assert pointed.pointing.marks.count() == 0


def test_another_result_takes_them_off(pointed, qtbot):
    before = pointed.results.result["result"]
    pointed.search_for("nothing")
    qtbot.waitUntil(lambda: pointed.results.result.get("result") != before, timeout=WAIT_MS)
    assert pointed.pointing.marks.count() == 0
    assert not pointed.results.point_button.isChecked()


def test_a_result_that_the_engine_forgot_is_told(found, qtbot):
    found.results.result["result"] = "gone"
    with qtbot.waitSignal(found.pointing.failed, timeout=WAIT_MS):
        found.results.point_button.click()
    assert not found.results.point_button.isChecked()
