"""Loading, unloading and reloading the plugin, with and without a GUI."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
from qgis.PyQt.QtWidgets import QDockWidget, QToolBar

import rs_text_search_plugin

FAKE = str(Path(__file__).parent / "fake_engine.py")


@pytest.fixture
def iface(qgis_iface, monkeypatch):
    """pytest-qgis's interface with what it lacks; calls are kept by name, with what each adds or removes."""
    monkeypatch.setenv("RS_TEXT_SEARCH_PYTHON", FAKE)
    calls = {}
    window = qgis_iface.mainWindow()
    window.show()

    def keep(name, which):
        monkeypatch.setattr(
            qgis_iface, name, lambda *args: calls.setdefault(name, []).append(args[which]), raising=False
        )

    def dock(area, widget):
        window.addDockWidget(area, widget)
        widget.show()  # as QGIS does
        calls.setdefault("addDockWidget", []).append(widget)

    for name in ("addPluginToRasterMenu", "removePluginRasterMenu"):
        keep(name, 1)
    for name in ("ToolBarIcon", "CustomActionForLayerType"):
        keep(f"add{name}", 0)
        keep(f"remove{name}", 0)
    keep("removeDockWidget", 0)
    keep("registerLocatorFilter", 0)
    keep("deregisterLocatorFilter", 0)
    monkeypatch.setattr(qgis_iface, "addDockWidget", dock)
    qgis_iface.calls = calls
    yield qgis_iface
    window.hide()


def providers():
    return [p.id() for p in QgsApplication.processingRegistry().providers() if p.id() == "rs_text_search"]


def load(iface):
    plugin = rs_text_search_plugin.classFactory(iface)
    plugin.initGui()
    return plugin


def test_unload_takes_out_what_load_put_in(iface, qtbot):
    plugin = load(iface)
    assert providers() == ["rs_text_search"]
    plugin.unload()
    assert providers() == []
    calls = iface.calls
    assert calls["addDockWidget"] == calls["removeDockWidget"]
    assert sorted(map(id, calls["addToolBarIcon"])) == sorted(map(id, calls["removeToolBarIcon"]))
    assert sorted(map(id, calls["addPluginToRasterMenu"])) == sorted(map(id, calls["removePluginRasterMenu"]))
    assert calls["addCustomActionForLayerType"] == calls["removeCustomActionForLayerType"]


def test_loading_starts_no_engine(iface, qtbot):
    plugin = load(iface)
    qtbot.wait(50)
    assert not plugin.window.engine.is_running()
    assert not plugin.window.dock.isVisible()
    plugin.unload()


def test_seeing_the_panel_starts_it_and_unload_ends_it(iface, qtbot):
    plugin = load(iface)
    with qtbot.waitSignal(plugin.window.engine.ready, timeout=5000):
        plugin.window.dock.show()
    pid = plugin.window.engine._process.processId()
    plugin.unload()
    assert not Path(f"/proc/{pid}").exists()


def test_reloaded_twice_as_the_plugin_reloader_does(iface, qtbot):
    for _ in range(3):
        plugin = load(iface)
        with qtbot.waitSignal(plugin.window.engine.ready, timeout=5000):
            plugin.window.dock.show()
        plugin.unload()
        qtbot.wait(50)
    assert providers() == []


def test_unload_while_indexing_leaves_nothing(iface, qtbot, tmp_path):
    plugin = load(iface)
    with qtbot.waitSignal(plugin.window.engine.ready, timeout=5000):
        plugin.window.dock.show()
    news = []
    plugin.window.engine.request("index", {"source": str(tmp_path / "slow.tif")}, on_progress=news.append)
    qtbot.waitUntil(lambda: bool(news), timeout=5000)
    pid = plugin.window.engine._process.processId()
    plugin.unload()
    assert not Path(f"/proc/{pid}").exists()


def test_project_closed_with_the_panel_open(iface, qtbot, tmp_path):
    path = str(tmp_path / "scene.tif")
    gdal.GetDriverByName("GTiff").Create(path, 10, 10, 3).FlushCache()
    plugin = load(iface)
    plugin.window.dock.show()
    QgsProject.instance().addMapLayer(QgsRasterLayer(path, "scene"))
    QgsProject.instance().clear()
    qtbot.wait(50)
    plugin.unload()


def test_processing_alone_needs_no_iface(qgis_app):
    plugin = rs_text_search_plugin.classFactory(None)
    plugin.initProcessing()
    assert providers() == ["rs_text_search"]
    plugin.unload()
    assert providers() == []


def test_processing_alone_imports_no_widgets_of_ours(qgis_app):
    """What `qgis_process` loads must not bring the panel along."""
    for name in [n for n in sys.modules if n.startswith("rs_text_search_plugin.")]:
        del sys.modules[name]
    importlib.import_module("rs_text_search_plugin.plugin")
    loaded = {n.split(".")[1] for n in sys.modules if n.startswith("rs_text_search_plugin.")}
    assert not loaded & {"gui", "window_parts", "search_dock", "map_actions"}


def test_no_widget_is_left_behind(iface, qtbot):
    window = iface.mainWindow()
    before = len(window.findChildren((QDockWidget, QToolBar)))
    load(iface).unload()
    QgsApplication.sendPostedEvents(None, 52)  # QEvent.DeferredDelete
    assert len(window.findChildren((QDockWidget, QToolBar))) == before
