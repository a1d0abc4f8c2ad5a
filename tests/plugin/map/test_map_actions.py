"""Right-click on the map, the map tool and the layer tree's entry, over a fake engine."""

from __future__ import annotations

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.gui import QgsMapMouseEvent
from qgis.PyQt.QtCore import QEvent, QPoint, Qt
from qgis.PyQt.QtWidgets import QMenu

from rs_text_search_plugin.map.map_actions import MapActions

WAIT_MS = 8000
INSIDE = QgsPointXY(500250, 5599850)  # tile 12 of the fake engine's lattice
OUTSIDE = QgsPointXY(498000, 5599850)


@pytest.fixture
def actions(panel, qgis_iface, canvas):
    actions = MapActions(qgis_iface, panel)
    actions.register()
    yield actions
    actions.unregister()


@pytest.fixture
def indexed(actions, add_raster, qtbot):
    add_raster("scene", indexed=True)
    qtbot.waitUntil(lambda: actions.dock.rasters.indexes() != [], timeout=WAIT_MS)
    return actions


def menu_at(canvas, point, span=400):
    """The map's menu as a right click at a point of the map fills it."""
    canvas.setExtent(QgsRectangle.fromCenterAndSize(point, span, span))
    pixel = canvas.getCoordinateTransform().transform(point)
    event = QgsMapMouseEvent(
        canvas,
        QEvent.Type.MouseButtonPress,
        QPoint(round(pixel.x()), round(pixel.y())),
        Qt.MouseButton.RightButton,
    )
    menu = QMenu()
    canvas.contextMenuAboutToShow.emit(menu, event)
    return menu


def entries(menu):
    return {action.text(): action for action in menu.actions() if action.text()}


def test_menu_offers_four_things_where_an_index_covers_the_place(indexed, canvas):
    menu = menu_at(canvas, INSIDE)
    assert list(entries(menu)) == [
        "Describe this tile",
        "Find similar tiles",
        "More like this",
        "Less like this",
    ]


def test_describe_from_the_menu(indexed, canvas, qtbot):
    menu = menu_at(canvas, INSIDE)
    entries(menu)["Describe this tile"].trigger()
    qtbot.waitUntil(lambda: indexed.dock.description.described.get("id") == 12, timeout=WAIT_MS)


def test_similar_tiles_drop_the_words(indexed, canvas, qtbot):
    indexed.dock.bar.text.setText("tanks")
    menu = menu_at(canvas, INSIDE)
    entries(menu)["Find similar tiles"].trigger()
    qtbot.waitUntil(lambda: len(indexed.dock.bar.examples) == 1, timeout=WAIT_MS)
    assert [example["id"] for example in indexed.dock.bar.query()["like"]] == [12]
    assert "text" not in indexed.dock.bar.query()


def test_less_like_this_keeps_the_words(indexed, canvas, qtbot):
    indexed.dock.bar.text.setText("tanks")
    menu = menu_at(canvas, INSIDE)
    entries(menu)["Less like this"].trigger()
    qtbot.waitUntil(lambda: len(indexed.dock.bar.examples) == 1, timeout=WAIT_MS)
    assert indexed.dock.bar.query()["text"] == "tanks"
    assert [example["id"] for example in indexed.dock.bar.query()["unlike"]] == [12]


def test_menu_follows_the_maps_own_crs(indexed, canvas):
    here, there = (QgsCoordinateReferenceSystem(code) for code in ("EPSG:32632", "EPSG:4326"))
    canvas.setDestinationCrs(there)
    degrees = QgsCoordinateTransform(here, there, QgsProject.instance()).transform(INSIDE)
    assert "Describe this tile" in entries(menu_at(canvas, degrees, span=0.01))


@pytest.mark.parametrize(
    ("point", "indexed", "says"),
    [(OUTSIDE, True, "no raster here"), (INSIDE, False, "'scene' is not indexed")],
)
def test_menu_says_what_is_missing(actions, add_raster, canvas, qtbot, point, indexed, says):
    add_raster("scene", indexed=indexed)
    qtbot.waitUntil(lambda: actions.dock.rasters.list.rasters[0].info != {}, timeout=WAIT_MS)
    menu = menu_at(canvas, point)
    assert not entries(menu)[f"Text search: {says}"].isEnabled()


def test_menu_without_engine(actions, add_raster, canvas):
    add_raster("scene", indexed=True)
    actions.dock.engine.stop()
    (entry,) = entries(menu_at(canvas, INSIDE))
    assert "the search engine has stopped" in entry


def test_map_tool_describes_what_is_clicked(indexed, canvas, qtbot):
    indexed.tool_action.trigger()
    assert canvas.mapTool() is indexed.tool
    assert indexed.tool_action.isChecked()
    indexed.tool.canvasClicked.emit(INSIDE, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(indexed.dock.description.isVisible, timeout=WAIT_MS)


def test_index_from_the_layer_tree(actions, add_raster, qtbot, monkeypatch):
    layer = add_raster("scene")
    qtbot.waitUntil(lambda: actions.dock.rasters.list.rasters[0].state == "none", timeout=WAIT_MS)
    monkeypatch.setattr(actions.iface.layerTreeView(), "currentLayer", lambda: layer)
    actions.index_action.trigger()
    qtbot.waitUntil(lambda: actions.dock.rasters.list.rasters[0].state == "complete", timeout=WAIT_MS)


def test_unregister_leaves_the_menu_alone(actions, canvas):
    actions.unregister()
    assert menu_at(canvas, INSIDE).actions() == []
    actions.register()


def test_a_web_layer_is_named_as_the_reason(actions, canvas, qgis_new_project):
    web = QgsRasterLayer("type=xyz&url=file:///nowhere/{x}/{y}/{z}.png&zmax=1", "web map", "wms")
    QgsProject.instance().addMapLayer(web)
    entry = next(iter(entries(menu_at(canvas, INSIDE))))
    assert "Only what GDAL reads" in entry
