"""The panel over a project that is saved, closed and opened again; keep, undo, compare and where to search."""

from __future__ import annotations

import pytest
from qgis.core import QgsProject, QgsRectangle
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QMessageBox

from rs_text_search_plugin.gui.query_bar import Example
from rs_text_search_plugin.gui.results.classify_dialog import ClassifyDialog
from rs_text_search_plugin.map.layer_group import result_layers
from rs_text_search_plugin.map.search_area import AreaKind

WAIT_MS = 8000


@pytest.fixture
def ready(panel, add_raster, qtbot):
    """A panel with one indexed raster."""
    add_raster("scene", indexed=True)
    qtbot.waitUntil(lambda: panel.rasters.indexes() != [], timeout=WAIT_MS)
    return panel


@pytest.fixture
def asked(ready, monkeypatch):
    """What the engine is asked from now on."""
    asked, request = [], ready.engine.request
    monkeypatch.setattr(ready.engine, "request", lambda *args: asked.append(args[:2]) or request(*args))
    return asked


def search(dock, qtbot, text):
    dock.bar.text.setText(text)
    dock.search()
    qtbot.waitUntil(lambda: dock.results.result.get("query") == text, timeout=WAIT_MS)


def reopen(path):
    QgsProject.instance().setFileName(str(path))
    assert QgsProject.instance().write()
    QgsProject.instance().clear()
    assert QgsProject.instance().read(str(path))


def layer_names():
    return sorted(layer.name() for layer in result_layers())


def test_everything_is_there_after_reopening(ready, qtbot, tmp_path):
    for query in ("tanks", "boats", "trees"):
        search(ready, qtbot, query)
        ready.kept.keep()
    search(ready, qtbot, "roads")
    ready.bar.without.setText("cars")
    ready.results.threshold.slider.setValue(70)
    ready.results.top.setValue(12)
    ready.area.drawn = None
    ready.area.kind.setCurrentIndex(ready.area.kind.findData(AreaKind.VIEW.value))
    qtbot.waitUntil(lambda: ready.layers.store.current.request.get("without") == "cars", timeout=WAIT_MS)
    reopen(tmp_path / "harbour.qgz")
    assert ready.bar.query() == {"text": "roads", "without": "cars"}
    assert ready.results.filter_values() == (70, 12)
    assert ready.area.chosen is AreaKind.VIEW
    assert [ready.kept.list.topLevelItem(row).text(0) for row in range(3)] == ["tanks", "boats", "trees"]
    assert layer_names() == ["boats", "roads", "tanks", "trees"]
    assert ready.results.gallery.matches.rowCount() == 12


def test_opening_a_project_searches_nothing_anew(ready, qtbot, tmp_path):
    search(ready, qtbot, "roads")
    table = ready.layers.store.current.table
    reopen(tmp_path / "harbour.qgz")
    qtbot.waitUntil(lambda: ready.rasters.indexes() != [], timeout=WAIT_MS)
    qtbot.wait(200)
    assert ready.layers.store.current.table == table


def test_unticked_rasters_stay_unticked(ready, qtbot, add_raster, tmp_path):
    other = add_raster("other", indexed=True)
    ready.rasters.list.untick({other.id()})
    reopen(tmp_path / "harbour.qgz")
    assert [raster.name for raster in ready.rasters.list.checked()] == ["scene"]


def test_a_new_project_starts_with_an_empty_panel(ready, qtbot):
    search(ready, qtbot, "tanks")
    ready.kept.keep()
    QgsProject.instance().clear()
    assert ready.results.result == {}
    assert ready.kept.list.topLevelItemCount() == 0
    assert ready.bar.query() == {}


def test_keep_is_undone(ready, qtbot):
    search(ready, qtbot, "tanks")
    qtbot.mouseClick(ready.kept.keep_button, Qt.MouseButton.LeftButton)
    assert len(ready.layers.store.kept) == 1
    ready.kept.undo_button.click()
    assert ready.layers.store.kept == []
    assert ready.layers.matches.name() == "tanks"


def test_clear_is_undone(ready, qtbot):
    search(ready, qtbot, "tanks")
    ready.clear()
    assert (layer_names(), ready.bar.query()) == ([], {})
    ready.kept.undo_button.click()
    assert (layer_names(), ready.bar.query()) == (["tanks"], {"text": "tanks"})
    assert ready.results.gallery.matches.rowCount() == 50


def test_examples_are_undone(ready, qtbot):
    search(ready, qtbot, "tanks")
    ready.bar.add_example(Example(ready.rasters.indexes()[0], 7, True))
    ready.kept.undo_button.click()
    assert ready.bar.examples == []


def test_removing_asks_and_is_undone(ready, qtbot, monkeypatch):
    search(ready, qtbot, "tanks")
    ready.kept.keep()
    (stored,) = ready.layers.store.kept
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.No)
    ready.kept.remove(stored.table)
    assert layer_names() == ["tanks"]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    ready.kept.remove(stored.table)
    assert layer_names() == []
    ready.kept.undo_button.click()
    assert layer_names() == ["tanks"]


def test_the_slider_still_filters_a_result_just_kept(ready, qtbot):
    search(ready, qtbot, "tanks")
    ready.kept.keep()
    ready.results.threshold.slider.setValue(90)
    assert "90" in result_layers()[0].renderer().rootRule().children()[0].filterExpression()


def test_searching_again_tells_what_changed(ready, qtbot, qgis_iface):
    search(ready, qtbot, "tanks")
    ready.kept.keep()
    ready.kept.repeat(ready.layers.store.kept[0].table)
    qtbot.waitUntil(lambda: "0 new, 0 gone since" in ready.kept.list.topLevelItem(0).text(1), timeout=WAIT_MS)


def test_hiding_and_renaming_in_the_list(ready, qtbot):
    search(ready, qtbot, "tanks")
    ready.kept.keep()
    ready.kept.list.topLevelItem(0).setText(0, "Depots")
    qtbot.waitUntil(lambda: layer_names() == ["Depots"], timeout=WAIT_MS)
    ready.kept.list.topLevelItem(0).setCheckState(0, Qt.CheckState.Unchecked)
    qtbot.waitUntil(lambda: ready.kept.kept.shown() == set(), timeout=WAIT_MS)


def test_a_kept_query_can_be_gone_on_with(ready, qtbot):
    search(ready, qtbot, "tanks")
    ready.kept.keep()
    search(ready, qtbot, "boats")
    ready.kept.list.release_wanted.emit(ready.layers.store.kept[0].table)
    assert ready.bar.query() == {"text": "tanks"}
    assert (ready.results.result["query"], layer_names()) == ("tanks", ["tanks"])


def test_the_area_reaches_search_and_index(ready, asked, qtbot, add_raster):
    ready.area.kind.setCurrentIndex(ready.area.kind.findData(AreaKind.VIEW.value))
    search(ready, qtbot, "tanks")
    assert [args for op, args in asked if op == "search"][-1]["area"]["type"] == "Polygon"
    layer = add_raster("other")
    qtbot.waitUntil(lambda: ready.rasters.list.raster(layer.id()).state == "none", timeout=WAIT_MS)
    ready.index_layer(layer.id())
    qtbot.waitUntil(lambda: any(op == "index" for op, _ in asked), timeout=WAIT_MS)
    assert [args for op, args in asked if op == "index"][-1]["area"]["type"] == "Polygon"


def test_an_area_still_to_be_drawn_is_asked_for(ready, asked, qtbot):
    ready.area.kind.setCurrentIndex(ready.area.kind.findData(AreaKind.DRAWN.value))
    ready.bar.text.setText("tanks")
    ready.search()
    assert "Draw the area" in ready.results.verdict.text()
    assert [op for op, _ in asked if op == "search"] == []


def test_matches_out_of_view_are_announced(ready, qtbot, canvas):
    canvas.setExtent(QgsRectangle(510000, 5590000, 510100, 5590100))
    search(ready, qtbot, "tanks")
    assert "north-west" in ready.in_view.text()
    ready.in_view.go("all")
    assert ready.in_view.isHidden()


def test_phrases_become_one_classified_layer(ready, qtbot):
    ready.kept.classification.start(["tanks", "boats"], ready.kept.where())
    qtbot.waitUntil(lambda: ready.layers.store.kept != [], timeout=WAIT_MS)
    (layer,) = result_layers()
    assert {feature["phrase"] for feature in layer.getFeatures()} == {
        "tanks"
    }  # the same scores: the first wins
    rules = layer.renderer().rootRule().children()[0].children()
    assert [rule.label() for rule in rules] == ["tanks"]
    ready.kept.undo_button.click()
    assert layer_names() == []


def test_phrases_are_read_from_a_file(ready, tmp_path):
    file = tmp_path / "phrases.txt"
    file.write_text("tanks\nboats\n", encoding="utf-8")
    dialog = ClassifyDialog(ready)
    dialog.read(str(file))
    assert dialog.phrases == ["tanks", "boats"]
