"""Where to search: the four kinds, what they send to the engine, and what comes back with a project."""

from __future__ import annotations

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsPointXY, QgsProject, QgsRectangle, QgsVectorLayer
from qgis.gui import QgsMapMouseEvent
from qgis.PyQt.QtCore import QEvent, QPoint, Qt
from qgis.PyQt.QtGui import QKeyEvent

from rs_text_search_plugin.map.area_control import AreaControl
from rs_text_search_plugin.map.search_area import AreaKind

VIEW = QgsRectangle(500000, 5599000, 501000, 5600000)
TRIANGLE = [(500100, 5599900), (500300, 5599900), (500300, 5599700)]


@pytest.fixture
def control(canvas, qgis_new_project, qtbot):
    canvas.setExtent(VIEW)
    control = AreaControl(canvas)
    qtbot.addWidget(control)
    yield control
    control.detach()


@pytest.fixture
def parcels(qgis_new_project):
    layer = QgsVectorLayer("Polygon?crs=EPSG:32632", "parcels", "memory")
    for left in (500000, 500500):
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, 5599000, left + 100, 5599100)))
        layer.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(layer)
    return layer


def choose(control, kind):
    control.kind.setCurrentIndex(control.kind.findData(kind.value))


def click(control, x, y, button=Qt.MouseButton.LeftButton):
    pixel = control.canvas.getCoordinateTransform().transform(QgsPointXY(x, y))
    place = QPoint(round(pixel.x()), round(pixel.y()))
    event = QgsMapMouseEvent(control.canvas, QEvent.Type.MouseButtonPress, place, button)
    control.tool.canvasPressEvent(event)


def draw(control):
    choose(control, AreaKind.DRAWN)
    control.draw_button.click()
    for corner in TRIANGLE:
        click(control, *corner)
    click(control, *TRIANGLE[-1], button=Qt.MouseButton.RightButton)


def box(request):
    (ring,) = request["area"]["coordinates"]
    xs, ys = zip(*ring)
    return min(xs), min(ys), max(xs), max(ys)


def test_whole_rasters_need_no_area(control):
    assert control.to_request() == {}
    assert control.missing() == ""


def test_the_view_is_sent_in_the_maps_crs(control):
    choose(control, AreaKind.VIEW)
    request = control.to_request()
    extent = control.canvas.extent()
    wanted = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
    assert box(request) == pytest.approx(wanted)
    assert "UTM zone 32N" in request["area_crs"]


def test_the_view_follows_the_map_if_wished(control, qtbot):
    choose(control, AreaKind.VIEW)
    with qtbot.waitSignal(control.changed, timeout=3000):
        control.canvas.setExtent(QgsRectangle(500500, 5599500, 500600, 5599600))
    control.follow.setChecked(False)
    with qtbot.assertNotEmitted(control.changed, wait=900):
        control.canvas.setExtent(VIEW)


def test_a_map_that_shows_the_same_is_not_searched_again(control, qtbot):
    choose(control, AreaKind.VIEW)
    control.to_request()
    saved = control.session()
    with qtbot.assertNotEmitted(control.changed, wait=900):
        control.restore(saved)
        control.canvas.setExtent(control.canvas.extent().buffered(0.5))


def test_selected_polygons_of_a_layer(control, parcels):
    control.layer.setLayer(parcels)
    choose(control, AreaKind.SELECTION)
    assert "Select" in control.missing()
    parcels.selectByIds([1])
    assert control.missing() == ""
    assert box(control.to_request()) == (500000, 5599000, 500100, 5599100)


def test_another_selection_is_another_area(control, parcels, qtbot):
    control.layer.setLayer(parcels)
    choose(control, AreaKind.SELECTION)
    with qtbot.waitSignal(control.changed, timeout=1000):
        parcels.selectByIds([2])


def test_a_layer_that_goes_takes_its_area_along(control, parcels):
    control.layer.setLayer(parcels)
    choose(control, AreaKind.SELECTION)
    parcels.selectAll()
    QgsProject.instance().removeMapLayer(parcels.id())
    assert control.to_request() == {}
    assert "Select" in control.missing()


def test_a_drawn_polygon(control):
    choose(control, AreaKind.DRAWN)
    assert "Draw" in control.missing()
    draw(control)
    assert control.missing() == ""
    span = control.canvas.mapUnitsPerPixel()
    assert box(control.to_request()) == pytest.approx((500100, 5599700, 500300, 5599900), abs=span)


def test_drawing_gives_the_map_back_to_the_tool_before(control):
    before = control.canvas.mapTool()
    draw(control)
    assert control.canvas.mapTool() is before


def test_escape_draws_nothing(control):
    choose(control, AreaKind.DRAWN)
    control.draw_button.click()
    for corner in TRIANGLE:
        click(control, *corner)
    escape = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier)
    control.tool.keyPressEvent(escape)
    assert control.drawn is None


def test_backspace_takes_a_corner_back(control):
    choose(control, AreaKind.DRAWN)
    control.draw_button.click()
    click(control, *TRIANGLE[0])
    click(control, *TRIANGLE[1])
    back = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Backspace, Qt.KeyboardModifier.NoModifier)
    control.tool.keyPressEvent(back)
    assert len(control.tool.corners) == 1


def test_the_area_is_framed_and_the_frame_goes(control):
    items = len(control.canvas.scene().items())
    draw(control)
    assert len(control.canvas.scene().items()) == items + 1
    choose(control, AreaKind.WHOLE)
    assert len(control.canvas.scene().items()) == items


def test_a_session_brings_the_area_back(control, qtbot):
    draw(control)
    wanted, saved = control.to_request(), control.session()
    control.restore({})
    assert control.to_request() == {}
    with qtbot.assertNotEmitted(control.changed):
        control.restore(saved)
    assert control.to_request() == wanted
