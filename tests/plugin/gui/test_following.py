"""Results, thumbnails and layers follow the project, its rasters and their indexes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsProject
from qgis.PyQt.QtWidgets import QMessageBox

from rs_text_search_plugin.gui.rasters.raster import remade
from rs_text_search_plugin.map.map_actions import MapActions

WAIT_MS = 8000


@pytest.fixture
def scene(panel, add_raster, qtbot):
    """The layer of one indexed raster."""
    layer = add_raster("scene", indexed=True)
    qtbot.waitUntil(lambda: panel.rasters.indexes() != [], timeout=WAIT_MS)
    return layer


def search(dock, qtbot, text):
    dock.bar.search_for(text)
    qtbot.waitUntil(lambda: dock.results.result.get("query") == text, timeout=WAIT_MS)


def test_indexed_anew_the_gallery_forgets_its_thumbnails(panel, scene, qtbot):
    search(panel, qtbot, "tanks")
    thumbnails = panel.results.gallery.matches._thumbnails
    qtbot.waitUntil(lambda: len(panel.results.gallery.matches._thumbnails) > 0, timeout=WAIT_MS)
    before = dict(panel.results.gallery.matches._thumbnails)
    panel.rasters.indexing.settings.tile.setValue(64)
    qtbot.waitUntil(panel.rasters.indexing.index_button.isEnabled, timeout=WAIT_MS)
    panel.rasters.indexing.index_button.click()
    qtbot.waitUntil(lambda: panel.results.gallery.matches._thumbnails is not thumbnails, timeout=WAIT_MS)
    now = panel.results.gallery.matches._thumbnails
    assert [key for key, icon in before.items() if now.get(key) is icon] == []


def test_indexed_anew_the_result_is_renewed(panel, scene, qtbot):
    search(panel, qtbot, "tanks")
    found = []
    panel.live.found.connect(found.append)
    panel.rasters.index_layer(scene.id())
    qtbot.waitUntil(lambda: len(found) > 0, timeout=WAIT_MS)
    assert found[0]["query"] == "tanks"


def test_a_raster_removed_takes_its_result_along(panel, scene, qtbot):
    search(panel, qtbot, "tanks")
    QgsProject.instance().removeMapLayer(scene.id())
    assert panel.results.result == {}
    assert panel.results.gallery.matches.rowCount() == 0
    assert panel.layers.matches is None


def test_another_project_shows_no_result_of_the_one_before(panel, scene, qtbot):
    search(panel, qtbot, "tanks")
    QgsProject.instance().clear()
    assert panel.results.result == {}
    assert not panel.results.gallery.isVisible()


def test_an_index_that_grows_keeps_its_tile_ids():
    assert remade({("a", 0, 10)}, {("a", 0, 20)}) == set()
    assert remade({("a", 0, 90)}, {("a", 5, 100)}) == set()
    assert remade({("a", 5, 100)}, {("a", 6, 100)}) == {"a"}
    assert remade({("a", 5, 100)}, set()) == {"a"}


def test_another_tile_size_or_overlap_offers_to_index_again(panel, scene, qtbot):
    button = panel.rasters.indexing.index_button
    assert not button.isEnabled()
    panel.rasters.indexing.settings.overlap.setValue(50)
    qtbot.waitUntil(button.isEnabled, timeout=WAIT_MS)
    panel.rasters.indexing.settings.overlap.setValue(0)
    qtbot.waitUntil(lambda: not button.isEnabled(), timeout=WAIT_MS)
    panel.rasters.indexing.settings.tile.setValue(64)
    qtbot.waitUntil(button.isEnabled, timeout=WAIT_MS)


@pytest.mark.parametrize("answer", ["Yes", "No"])
def test_an_index_is_made_from_scratch_only_after_asking(panel, scene, qtbot, monkeypatch, answer):
    asked = []
    button = getattr(QMessageBox.StandardButton, answer)
    monkeypatch.setattr(QMessageBox, "question", lambda _parent, _title, text: asked.append(text) or button)
    panel.rasters.list.menu(panel.rasters.list.rasters[0]).actions()[0].trigger()
    assert "stays until the new one is complete" in asked[0]
    assert panel.rasters.queue.running() == (answer == "Yes")
    qtbot.waitUntil(lambda: not panel.rasters.queue.running(), timeout=WAIT_MS)
    made = json.loads(Path(f"{scene.source()}.rsidx/meta.json").read_text())
    assert made.get("mode") == ("restart" if answer == "Yes" else None)


def test_an_index_of_an_older_model_can_be_made_anew(panel, scene, qtbot):
    panel.bar.search_for("outdated scene.tif.rsidx")
    qtbot.waitUntil(lambda: "another version" in panel.results.verdict.text(), timeout=WAIT_MS)
    assert not panel.rasters.isCollapsed()
    assert panel.rasters.list.topLevelItem(0).text(1) == "made otherwise"
    assert panel.rasters.indexing.index_button.isEnabled()
    panel.bar.clear()
    panel.rasters.indexing.index_button.click()
    qtbot.waitUntil(lambda: panel.rasters.indexes() != [], timeout=WAIT_MS)
    assert json.loads(Path(f"{scene.source()}.rsidx/meta.json").read_text())["mode"] == "restart"


def test_why_a_raster_could_not_be_indexed_stays_visible(panel, add_raster, qtbot):
    layer = add_raster("missing")
    qtbot.waitUntil(lambda: panel.rasters.list.rasters[0].state == "none", timeout=WAIT_MS)
    panel.rasters.index_layer(layer.id())
    qtbot.waitUntil(panel.rasters.failures.isVisible, timeout=WAIT_MS)
    panel.rasters.refresh()
    qtbot.wait(300)
    assert "Check that the file is there." in panel.rasters.failures.text()
    assert panel.rasters.list.topLevelItem(0).text(1) == "indexing failed"
    assert "Cannot open" in panel.rasters.list.topLevelItem(0).toolTip(1)


def test_a_search_while_the_first_index_runs_tells_how_far_it_is(panel, add_raster, qtbot):
    layer = add_raster("slow")
    qtbot.waitUntil(lambda: panel.rasters.list.rasters[0].state == "none", timeout=WAIT_MS)
    panel.rasters.index_layer(layer.id())
    panel.bar.search_for("tanks")
    assert "slow is being indexed" in panel.results.verdict.text()
    qtbot.waitUntil(lambda: panel.results.result.get("query") == "tanks", timeout=2 * WAIT_MS)


def test_all_indexed_the_raster_box_is_one_line(panel, scene, add_raster, qtbot):
    assert panel.rasters.isCollapsed()
    assert panel.rasters.title() == "1 raster, 100 tiles"
    add_raster("b")
    qtbot.waitUntil(lambda: not panel.rasters.isCollapsed(), timeout=WAIT_MS)
    assert panel.rasters.title() == "Rasters (1 of 2 indexed)"


def test_open_settings_keep_the_raster_box_open(panel, add_raster, qtbot):
    panel.rasters.indexing.settings_button.click()
    add_raster("scene", indexed=True)
    qtbot.waitUntil(lambda: panel.rasters.indexes() != [], timeout=WAIT_MS)
    assert not panel.rasters.isCollapsed()


def test_the_panel_fits_a_small_screen(panel, scene, qtbot):
    search(panel, qtbot, "tanks")
    panel.results.gallery.described.emit(panel.results.shown_matches()[0])
    qtbot.waitUntil(lambda: panel.description.described != {}, timeout=WAIT_MS)
    panel._add_example(panel.results.shown_matches()[0], True)
    panel.rasters.setCollapsed(False)
    panel.rasters.indexing.settings_button.click()
    QgsApplication.processEvents()
    assert panel.minimumSizeHint().height() < 500
    page = panel.pages.currentWidget()
    assert page.minimumSizeHint().width() > page.widget().minimumSizeHint().width()  # nothing is cut off
    assert panel.minimumSizeHint().width() <= 400


def test_the_describe_tool_tells_what_the_engine_is_doing(panel, qgis_iface, canvas, qtbot):
    actions = MapActions(qgis_iface, panel)
    point = canvas.center()
    assert "no raster here" in actions.missing(point)
    panel.engine.stop()
    panel.control.page.show_stopped("it crashed")
    assert "has stopped" in actions.missing(point)
    panel.control.start()
    assert "is starting" in actions.missing(point)


def test_repair_asks_before_it_starts(panel, monkeypatch):
    asked, built = [], []
    monkeypatch.setattr(QMessageBox, "exec", lambda box: asked.append(box.informativeText()))
    monkeypatch.setattr(panel.control.environment, "build", lambda *wheels: built.append(wheels))
    repair = next(a for a in panel.control.menu_button.menu().actions() if "repair" in a.text())
    repair.trigger()
    assert "rs-text-search" in asked[0]
    assert built == []


def test_suggested_phrases_are_searched_with_a_click(panel, scene, qtbot, monkeypatch):
    request = panel.engine.request

    def nothing_stands_out(op, args, on_result, *rest):
        def lower(result):
            for match in result["matches"]:
                match["score"] /= 4
            on_result(result)

        return request(op, args, lower if op == "search" else on_result, *rest)

    monkeypatch.setattr(panel.engine, "request", nothing_stands_out)
    search(panel, qtbot, "parks with yurts")
    assert panel.results.gallery.matches.rowCount() == 6
    assert panel.results.gallery.isVisible()
    qtbot.waitUntil(
        lambda: "car park</a>, <a href='phrase:house'" in panel.results.advice.text(), timeout=WAIT_MS
    )
    assert "glacier" not in panel.results.advice.text()
    panel.results.advice.linkActivated.emit("phrase:car park")
    assert panel.bar.text.text() == "car park"
