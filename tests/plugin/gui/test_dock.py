"""The panel as a person uses it, over a fake engine: index, type, filter, refine, describe, export."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from qgis.core import Qgis, QgsProject, QgsRasterLayer, QgsSettings
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAbstractButton, QAbstractScrollArea, QAbstractSpinBox, QComboBox, QWidget

from rs_text_search_plugin.assets import icon, resource
from rs_text_search_plugin.engine_process.client import EngineClient
from rs_text_search_plugin.gui import engine_control
from rs_text_search_plugin.gui.rasters.index_queue import arguments
from rs_text_search_plugin.gui.rasters.raster import Raster
from rs_text_search_plugin.gui.search_dock import SearchDock
from rs_text_search_plugin.map.layer_group import GROUP
from tests.plugin.drawn import drawn

WAIT_MS = 8000


def states(dock):
    return {raster.name: raster.state for raster in dock.rasters.list.rasters}


def wait_for_state(dock, qtbot, **wanted):
    qtbot.waitUntil(lambda: states(dock) == wanted, timeout=WAIT_MS)


def search(dock, qtbot, text):
    """Types as a person does, and waits for the result."""
    qtbot.keyClicks(dock.bar.text, text)
    qtbot.waitUntil(lambda: dock.results.result.get("query") == text, timeout=WAIT_MS)


def messages(iface, level=Qgis.MessageLevel.Warning):
    return " | ".join(iface.messageBar().get_messages(level))


@pytest.fixture
def ready(panel, add_raster, qtbot):
    """A panel with one indexed raster."""
    add_raster("scene", indexed=True)
    wait_for_state(panel, qtbot, scene="complete")
    return panel


def test_index_with_one_button(panel, add_raster, qtbot, qgis_iface):
    add_raster("a")
    add_raster("b")
    wait_for_state(panel, qtbot, a="none", b="none")
    qtbot.waitUntil(lambda: "200 tiles" in panel.rasters.indexing.estimate.text(), timeout=WAIT_MS)
    assert "240 kB" in panel.rasters.indexing.estimate.text()
    assert "about 2 s" in panel.rasters.indexing.estimate.text()
    qtbot.mouseClick(panel.rasters.indexing.index_button, Qt.MouseButton.LeftButton)
    wait_for_state(panel, qtbot, a="complete", b="complete")
    assert not panel.rasters.queue.running()
    assert not panel.rasters.indexing.index_button.isEnabled()
    assert "a is indexed." in messages(qgis_iface, Qgis.MessageLevel.Info)


def test_settings_reach_the_engine(panel, add_raster, qtbot):
    layer = add_raster("a", bands=4)
    layer.renderer().setRedBand(4)
    panel.rasters.list.sync()
    settings = panel.rasters.indexing.settings
    settings.overlap.setValue(25)
    settings.unit.setCurrentText("m")
    settings.tile.setValue(120)
    settings.levels.setCurrentIndex(settings.levels.findData(2))
    wait_for_state(panel, qtbot, a="none")
    panel.index_layer(layer.id())
    wait_for_state(panel, qtbot, a="complete")
    asked = json.loads(Path(f"{layer.source()}.rsidx/meta.json").read_text())
    assert asked["overlap"] == 0.25
    assert asked["tile_m"] == 120
    assert asked["levels"] == 2
    assert "tile_px" not in asked
    assert asked["bands"] == [4, 2, 3]


@pytest.mark.parametrize(
    ("state", "mode"), [("stale", "restart"), ("damaged", "restart"), ("unfinished", None)]
)
def test_outdated_index_is_made_anew(state, mode):
    raster = Raster("id", "scene", "scene.tif", info={"state": state, "tiles": 5})
    assert arguments(raster, {"overlap": 0.0}).get("mode") == mode


def test_cancel_keeps_what_is_done_and_says_so(panel, add_raster, qtbot, qgis_iface):
    add_raster("slow")
    wait_for_state(panel, qtbot, slow="none")
    qtbot.mouseClick(panel.rasters.indexing.index_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "of 100 tiles" in panel.rasters.indexing.estimate.text(), timeout=WAIT_MS)
    assert "left" in panel.rasters.indexing.estimate.text()
    qtbot.mouseClick(panel.rasters.indexing.cancel_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.rasters.queue.running(), timeout=1000)
    assert "kept" in messages(qgis_iface, Qgis.MessageLevel.Info)


def test_layer_removed_while_indexing(panel, add_raster, qtbot):
    layer = add_raster("slow")
    wait_for_state(panel, qtbot, slow="none")
    panel.index_layer(layer.id())
    qtbot.waitUntil(lambda: "of 100 tiles" in panel.rasters.indexing.estimate.text(), timeout=WAIT_MS)
    QgsProject.instance().removeMapLayer(layer.id())
    qtbot.waitUntil(lambda: not panel.rasters.queue.running(), timeout=WAIT_MS)
    assert panel.rasters.list.rasters == []
    assert "Add a raster" in panel.results.verdict.text()


def test_typing_searches_by_itself(ready, qtbot):
    search(ready, qtbot, "tanks")
    assert ready.layers.matches.name() == "tanks"
    assert ready.results.verdict.text() == "10 strong and 20 possible places among 100 tiles"
    assert QgsProject.instance().layerTreeRoot().children()[0].name() == GROUP


def test_search_needs_an_index(panel, add_raster, qtbot):
    add_raster("a")
    wait_for_state(panel, qtbot, a="none")
    qtbot.keyClicks(panel.bar.text, "tanks")
    qtbot.keyClick(panel.bar.text, Qt.Key.Key_Return)
    assert "Index" in panel.results.verdict.text()
    assert panel.layers.matches is None


def test_filter_needs_no_search(ready, qtbot, monkeypatch):
    search(ready, qtbot, "tanks")
    layer = ready.layers.matches
    assert drawn(layer) == 50
    asked = []
    monkeypatch.setattr(ready.engine, "request", lambda op, *args: asked.append(op))
    ready.results.threshold.slider.setValue(90)
    assert drawn(layer) == ready.results.gallery.matches.rowCount() == 10
    ready.results.top.setValue(4)
    assert drawn(layer) == ready.results.gallery.matches.rowCount() == 4
    ready.results.threshold.slider.setValue(0)
    ready.results.top.setValue(1000)
    assert drawn(layer) == 100
    assert "search" not in asked


def test_a_search_that_fails_says_why_where_the_verdict_stands(ready, qtbot, qgis_iface):
    search(ready, qtbot, "tanks")
    qtbot.keyClicks(ready.bar.text, " error")
    qtbot.waitUntil(lambda: "cannot be searched for" in ready.results.verdict.text(), timeout=WAIT_MS)
    assert "Use other words" in messages(qgis_iface)
    assert ready.results.gallery.matches.rowCount() == 0


def test_slow_search_says_that_it_searches(ready, qtbot):
    qtbot.keyClicks(ready.bar.text, "slow")
    qtbot.waitUntil(lambda: ready.results.verdict.text() == "Searching ...", timeout=2500)
    qtbot.keyClicks(ready.bar.text, "er tanks")
    qtbot.waitUntil(lambda: ready.results.result.get("query") == "slower tanks", timeout=WAIT_MS)


def test_nothing_found_is_an_answer(ready, qtbot):
    qtbot.keyClicks(ready.bar.text, "nothing like it")
    qtbot.waitUntil(lambda: "Nothing stands out" in ready.results.verdict.text(), timeout=WAIT_MS)
    assert drawn(ready.layers.matches) == 0
    assert not ready.results.export_button.isEnabled()


def test_nearest_are_shown_on_request_and_only_for_this_query(ready, qtbot, monkeypatch):
    request = ready.engine.request

    def with_low_scores(op, args, on_result, *rest):
        def lower(result):
            for match in result["matches"] if op == "search" else ():
                match["score"] /= 4
            on_result(result)

        return request(op, args, lower, *rest)

    monkeypatch.setattr(ready.engine, "request", with_low_scores)
    search(ready, qtbot, "yurts")
    assert ready.results.gallery.matches.rowCount() == 6  # in grey
    assert drawn(ready.layers.matches) == 0
    ready.results.verdict.linkActivated.emit("nearest")
    assert ready.results.gallery.matches.rowCount() == 50
    ready.bar.text.clear()
    search(ready, qtbot, "igloos")
    assert ready.results.threshold.slider.value() == 50


def test_examples_and_without(ready, qtbot, monkeypatch):
    search(ready, qtbot, "tanks")
    asked = []
    request = ready.engine.request
    monkeypatch.setattr(ready.engine, "request", lambda *args: asked.append(args[:2]) or request(*args))
    match = ready.results.shown_matches()[2]
    ready.results.gallery.example_added.emit(match, False)
    qtbot.keyClicks(ready.bar.without, "ships")
    qtbot.keyClick(ready.bar.without, Qt.Key.Key_Return)
    arguments = [args for op, args in asked if op == "search"][-1]
    assert arguments["text"] == "tanks"
    assert arguments["without"] == "ships"
    assert arguments["unlike"] == [{"index": match["index"], "id": match["id"]}]
    chips = [w for w in ready.bar.findChildren(QAbstractButton) if w.text().startswith("not like tile")]
    chips[0].click()
    assert "unlike" not in [args for op, args in asked if op == "search"][-1]


def test_history_remembers_what_was_submitted(ready, qtbot):
    QgsSettings().remove("rs_text_search/history")
    qtbot.keyClicks(ready.bar.text, "tennis court")
    qtbot.keyClick(ready.bar.text, Qt.Key.Key_Return)
    assert QgsSettings().value("rs_text_search/history", [], list)[0] == "tennis court"
    assert ready.bar.text.completer().model().stringList()[0] == "tennis court"


def test_describe_a_match(ready, qtbot):
    search(ready, qtbot, "tanks")
    ready.results.gallery.described.emit(ready.results.shown_matches()[7])
    assert ready.description.isVisible()
    qtbot.waitUntil(lambda: ready.description.described != {}, timeout=WAIT_MS)
    assert "Storage tanks" in ready.description.sentence.text()
    assert "Tile 7" in ready.description.title.text()
    assert ready.layers.highlight.outlined
    ready.description.dismiss()
    assert not ready.layers.highlight.outlined


def test_export_what_is_shown(ready, qtbot, tmp_path, qgis_iface):
    search(ready, qtbot, "tanks")
    ready.results.top.setValue(3)
    ready.export_to(str(tmp_path / "out.geojson"))
    qtbot.waitUntil(
        lambda: "3 matches saved" in messages(qgis_iface, Qgis.MessageLevel.Info), timeout=WAIT_MS
    )
    assert [m["rank"] for m in json.loads((tmp_path / "out.geojson").read_text())] == [1, 2, 3]


def test_errors_reach_the_message_bar_with_a_hint(ready, qtbot, qgis_iface, tmp_path):
    search(ready, qtbot, "tanks")
    ready.export_to(str(tmp_path / "out.xyz"))
    qtbot.waitUntil(lambda: "Unknown format .xyz" in messages(qgis_iface), timeout=WAIT_MS)


def test_clear_leaves_the_project_as_it_was(ready, qtbot):
    before = set(QgsProject.instance().mapLayers())
    search(ready, qtbot, "tanks")
    ready.results.clear_button.click()
    assert set(QgsProject.instance().mapLayers()) == before
    assert QgsProject.instance().layerTreeRoot().findGroup(GROUP) is None
    assert ready.bar.text.text() == ""
    assert not ready.results.gallery.isVisible()


def test_person_removes_the_result_layer(ready, qtbot):
    search(ready, qtbot, "tanks")
    QgsProject.instance().removeMapLayer(ready.layers.matches.id())
    ready.results.threshold.slider.setValue(70)
    qtbot.keyClicks(ready.bar.text, " by the sea")
    qtbot.waitUntil(lambda: ready.layers.matches is not None, timeout=WAIT_MS)
    assert drawn(ready.layers.matches) == 30


def test_project_closed_with_results(ready, qtbot):
    search(ready, qtbot, "tanks")
    QgsProject.instance().clear()
    assert ready.rasters.list.rasters == []
    ready.results.threshold.slider.setValue(70)
    ready.clear()
    assert "Add a raster" in ready.results.verdict.text()


def test_layers_from_elsewhere_say_why_not(panel, qgis_new_project):
    web = QgsRasterLayer("type=xyz&url=file:///nowhere/{x}/{y}/{z}.png&zmax=1", "web map", "wms")
    QgsProject.instance().addMapLayer(web)
    item = panel.rasters.list.topLevelItem(0)
    assert item.text(1) == "cannot be indexed"
    assert "wms" in item.toolTip(0)
    assert panel.rasters.list.sources() == []


def test_unchecked_rasters_are_not_searched(panel, add_raster, qtbot):
    add_raster("a", indexed=True)
    add_raster("b", indexed=True)
    wait_for_state(panel, qtbot, a="complete", b="complete")
    panel.rasters.list.topLevelItem(0).setCheckState(0, Qt.CheckState.Unchecked)
    search(panel, qtbot, "tanks")
    assert {Path(m["index"]).name for m in panel.results.result["matches"]} == {"b.tif.rsidx"}


def test_engine_killed_while_indexing(panel, add_raster, qtbot, qgis_iface):
    add_raster("slow")
    wait_for_state(panel, qtbot, slow="none")
    qtbot.mouseClick(panel.rasters.indexing.index_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "of 100 tiles" in panel.rasters.indexing.estimate.text(), timeout=WAIT_MS)
    with qtbot.waitSignal(panel.engine.ready, timeout=WAIT_MS):
        os.kill(panel.engine._process.processId(), signal.SIGKILL)
    assert not panel.rasters.queue.running()
    assert panel.pages.currentIndex() == 1
    assert "The engine stopped" in messages(qgis_iface)


def test_panel_without_engine_says_what_to_press(qgis_iface, qgis_new_project, qtbot, monkeypatch):
    monkeypatch.setattr(engine_control, "find_python", lambda: None)
    qgis_iface.mainWindow().show()
    dock = SearchDock(qgis_iface, EngineClient())
    dock.show()
    assert dock.pages.currentWidget() is dock.control.page
    qtbot.waitUntil(dock.control.page.setup_button.isVisible, timeout=WAIT_MS)
    assert "not set up" in dock.control.page.text.text()
    dock.close_down()
    dock.hide()
    dock.deleteLater()


def test_every_control_has_a_name_and_a_tooltip(panel):
    controls = [w for w in panel.widget().findChildren(QWidget) if w.focusPolicy() & Qt.FocusPolicy.TabFocus]
    own = [w for w in controls if not isinstance(w, QgsCollapsibleGroupBox) and not inner(w)]
    assert len(own) > 20
    mute = [w for w in own if not (w.accessibleName() and w.toolTip())]
    assert [f"{type(w).__name__} in {type(w.parent()).__name__}" for w in mute] == []


def inner(widget):
    """Whether Qt or QGIS put it there as a part of a control that has a name itself."""
    whole = (QComboBox, QAbstractSpinBox, QAbstractScrollArea, QgsCollapsibleGroupBox)
    parent = widget.parent()
    return isinstance(parent, whole) or isinstance(parent.parent(), QComboBox)


def test_help_and_every_icon_are_there():
    names = ("icon", "search", "index", "describe", "more", "less", "export", "heat", "clear", "setup")
    assert resource("help.html").is_file()
    assert [name for name in names if icon(name).pixmap(24, 24).isNull()] == []
