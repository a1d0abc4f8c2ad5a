"""How many matches are in view, and the links that go to those that are not."""

from __future__ import annotations

import pytest
from qgis.core import QgsRectangle

from rs_text_search_plugin.map.matches_in_view import MatchesInView
from tests.plugin.search_results import match, result

EAST = [match(rank, 90, at=(510000 + 100 * rank, 5600000)) for rank in (1, 2)]
NORTH = [match(3, 90, at=(500000, 5610000))]
HERE = QgsRectangle(499500, 5599500, 500500, 5600500)


@pytest.fixture
def label(canvas, qtbot):
    canvas.setExtent(HERE)
    label = MatchesInView(canvas)
    qtbot.addWidget(label)
    yield label
    label.detach()


def show(label, matches):
    label.show_matches(result(*matches), matches)


def test_all_in_view_says_nothing(label):
    show(label, [match(1, 90)])
    assert label.isHidden()


def test_some_in_view_are_counted(label):
    show(label, [match(9, 90), *EAST])
    assert "1 of 3 matches in view" in label.text()


def test_none_in_view_tells_how_many_lie_where(label):
    show(label, [*EAST, *NORTH])
    assert "2 east" in label.text()
    assert "1 north<" in label.text()


def test_a_direction_goes_there(label):
    show(label, [*EAST, *NORTH])
    label.go("2")
    assert label.canvas.extent().contains(QgsRectangle(500000, 5609900, 500100, 5610000))
    assert not label.canvas.extent().contains(QgsRectangle(510100, 5599900, 510300, 5600000))


def test_zoom_to_matches_shows_all(label):
    show(label, [*EAST, *NORTH])
    label.go("all")
    assert label.isHidden()


def test_no_matches_say_nothing(label):
    show(label, EAST)
    show(label, [])
    assert label.isHidden()
