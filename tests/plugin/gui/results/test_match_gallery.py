"""The gallery: what it shows, which pictures it asks for, and that it asks once."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QColor, QPixmap

from rs_text_search_plugin.gui.results.match_gallery import MatchGallery
from rs_text_search_plugin.gui.results.match_model import BATCH

INDEX = "/data/scene.tif.rsidx"
NAMES = {INDEX: "scene"}


def matches(number):
    return [
        {"rank": rank, "score": 100.0 - rank, "id": 1000 + rank, "index": INDEX}
        for rank in range(1, number + 1)
    ]


@pytest.fixture
def gallery(qgis_app, qtbot):
    gallery = MatchGallery()
    qtbot.addWidget(gallery)
    gallery.resize(320, 300)
    gallery.show()
    return gallery


@pytest.fixture
def asked(gallery):
    """Tiles the gallery asked pictures of."""
    asked = []
    gallery.thumbnails_wanted.connect(lambda index, tiles: asked.extend(tiles))
    return asked


def fill(gallery, number, top=1000):
    gallery.matches.set_matches(matches(number), NAMES)
    gallery.matches.filter(0, top)


def text(gallery, row, role=Qt.ItemDataRole.DisplayRole):
    return gallery.matches.data(gallery.matches.index(row), role)


def test_rank_and_score_under_each_picture(gallery):
    fill(gallery, 3)
    assert [text(gallery, row) for row in range(3)] == ["1  ·  99", "2  ·  98", "3  ·  97"]


def test_read_aloud_it_makes_a_sentence(gallery):
    fill(gallery, 30)
    assert (
        text(gallery, 0, Qt.ItemDataRole.AccessibleTextRole)
        == "Rank 1, score 99 of 100, strong, tile 1001 of scene"
    )
    assert "strong" not in text(gallery, 29, Qt.ItemDataRole.AccessibleTextRole)


def test_only_what_is_on_screen_is_asked_for_and_only_once(gallery, asked, qtbot):
    fill(gallery, 1000)
    qtbot.waitUntil(lambda: len(asked) >= 9, timeout=3000)
    qtbot.wait(200)
    gallery.viewport().repaint()
    qtbot.wait(200)
    assert len(asked) == len(set(asked)) < 40
    assert 1001 in asked


def test_the_same_result_again_loses_no_picture_on_its_way(gallery, asked):
    fill(gallery, 3)
    gallery.grab()  # painted: pictures are wanted, none is requested yet
    fill(gallery, 3)  # the live search and the Enter key found the same
    gallery._request()
    assert sorted(asked) == [1001, 1002, 1003]


def test_repainting_does_not_put_off_the_pictures(gallery, asked, qtbot):
    fill(gallery, 3)
    for _ in range(20):
        gallery.grab()
        qtbot.wait(10)
    assert sorted(asked) == [1001, 1002, 1003]


def test_a_batch_is_no_larger_than_agreed(gallery):
    fill(gallery, 100)
    gallery.matches._missing.clear()
    for row in range(100):
        text(gallery, row, Qt.ItemDataRole.DecorationRole)
    batch = gallery.matches.take_missing()
    assert len(batch[INDEX]) == BATCH


def test_pictures_replace_blanks(gallery, tmp_path):
    fill(gallery, 2)
    blank = text(gallery, 0, Qt.ItemDataRole.DecorationRole).pixmap(QSize(8, 8)).toImage().pixelColor(4, 4)
    red = QPixmap(64, 64)
    red.fill(QColor("red"))
    assert red.save(str(tmp_path / "1.png"))
    gallery.matches.add_thumbnails(INDEX, [1001, 1002], [str(tmp_path / "1.png"), str(tmp_path / "lost.png")])
    colours = [
        text(gallery, row, Qt.ItemDataRole.DecorationRole).pixmap(QSize(8, 8)).toImage().pixelColor(4, 4)
        for row in (0, 1)
    ]
    assert colours == [QColor("red"), blank]


def test_click_and_enter_show_a_match(gallery, qtbot):
    fill(gallery, 3)
    shown = []
    gallery.shown.connect(lambda match: shown.append(match["rank"]))
    centre = gallery.visualRect(gallery.matches.index(1)).center()
    qtbot.mouseClick(gallery.viewport(), Qt.MouseButton.LeftButton, pos=centre)
    gallery.setFocus()
    qtbot.keyClick(gallery, Qt.Key.Key_Right)
    qtbot.keyClick(gallery, Qt.Key.Key_Return)
    assert shown == [2, 3]


def test_menu_of_a_match(gallery):
    fill(gallery, 3)
    examples = []
    gallery.example_added.connect(lambda match, wanted: examples.append((match["id"], wanted)))
    menu = gallery.menu(matches(3)[1])
    actions = {action.text(): action for action in menu.actions()}
    actions["More like this"].trigger()
    actions["Less like this"].trigger()
    assert examples == [(1002, True), (1002, False)]


def test_filter_shortens_the_list(gallery):
    fill(gallery, 50)
    gallery.matches.filter(90, 5)
    assert gallery.matches.rowCount() == 5
    gallery.matches.filter(96, 50)
    assert gallery.matches.rowCount() == 4
