"""Matches and heat as layers: geometry, attributes, style, filter, and nothing of the person's touched."""

from __future__ import annotations

import pytest
from osgeo import gdal, osr
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtGui import QColor

from rs_text_search_plugin.map.result_layers import GROUP, RESULT_PROPERTY, ResultLayers
from rs_text_search_plugin.map.styles import CLASSES, score_colour
from rs_text_search_plugin.map.tile_geometry import crs_from

UTM = QgsCoordinateReferenceSystem("EPSG:32632").toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT_PREFERRED)
WGS84 = QgsCoordinateReferenceSystem("EPSG:4326").toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT_PREFERRED)


def match(rank, score, index="a.rsidx", at=(500000.0, 5600000.0), side=100.0):
    x, y = at
    corners = [[x, y], [x + side, y], [x + side, y - side], [x, y - side]]
    return {"rank": rank, "score": score, "region": 0, "id": 10 * rank, "index": index, "corners": corners}


def result(*matches, crs=None, query="tanks"):
    crs = crs or {"a.rsidx": UTM}
    sources = [{"index": name, "source": name[:-6], "crs": wkt, "gsd_m": 1.0} for name, wkt in crs.items()]
    return {"query": query, "model": "compact", "sources": sources, "matches": list(matches)}


@pytest.fixture
def layers(canvas, qgis_new_project):
    layers = ResultLayers(canvas)
    yield layers
    layers.clear()


def test_matches_carry_their_attributes(layers):
    layer = layers.show_matches(result(match(1, 91.5)))
    feature = next(layer.getFeatures())
    assert layer.crs().authid() == "EPSG:32632"
    assert feature["rank"] == 1
    assert feature["score"] == 91.5
    assert feature["tile_id"] == 10
    assert feature["raster"] == "a"
    assert feature["query"] == "tanks"
    assert feature.geometry().area() == pytest.approx(100 * 100)


def test_second_search_reuses_the_layer(layers):
    first = layers.show_matches(result(match(1, 90), match(2, 80)))
    second = layers.show_matches(result(match(1, 70), query="boats"))
    assert second.id() == first.id()
    assert (second.name(), second.featureCount()) == ("boats", 1)


def test_rasters_in_two_crs_meet_in_the_projects(layers):
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    near = match(2, 80, "b.rsidx", at=(9.0, 50.55), side=0.001)
    layer = layers.show_matches(result(match(1, 90), near, crs={"a.rsidx": UTM, "b.rsidx": WGS84}))
    assert layer.crs().authid() == "EPSG:3857"
    assert QgsProject.instance().crs().authid() == "EPSG:3857"
    a, b = (feature.geometry() for feature in layer.getFeatures())
    assert a.distance(b) < 2000
    assert a.constGet().nCoordinates() > 5  # edges densified before they are bent


def test_raster_without_crs_keeps_its_coordinates(layers):
    layer = layers.show_matches(result(match(1, 90, at=(0.0, 0.0)), crs={"a.rsidx": None}))
    assert not layer.crs().isValid()
    assert layer.extent() == QgsRectangle(0, -100, 100, 0)


def test_filter_hides_without_losing(layers):
    layer = layers.show_matches(result(*(match(rank, 100 - rank) for rank in range(1, 61))))
    layers.filter(50, 20)
    assert layer.featureCount() == 20
    layers.filter(90, 1000)
    assert layer.featureCount() == 10
    layers.filter(0, 1000)
    assert layer.featureCount() == 60


def test_colours_grow_lighter_with_the_score():
    lightness = [luminance(QColor(c.colour)) for c in CLASSES]
    assert lightness == sorted(lightness)
    assert score_colour(100).name() == CLASSES[-1].colour
    assert score_colour(49.9).name() == CLASSES[0].colour
    assert score_colour(80).name() == CLASSES[3].colour


def luminance(colour):
    """Relative luminance by ITU-R BT.709, without gamma."""
    return 0.2126 * colour.redF() + 0.7152 * colour.greenF() + 0.0722 * colour.blueF()


def test_every_score_has_a_class(layers):
    layer = layers.show_matches(result(match(1, 100), match(2, 0), match(3, 50), match(4, 79.99)))
    ranges = layer.renderer().ranges()
    assert all(any(r.lowerValue() <= score < r.upperValue() for r in ranges) for score in (100, 0, 50, 79.99))


def test_group_stands_on_top_and_goes_when_empty(layers, add_raster):
    person = add_raster("own")
    layers.show_matches(result(match(1, 90)))
    assert QgsProject.instance().layerTreeRoot().children()[0].name() == GROUP
    layers.clear()
    assert list(QgsProject.instance().mapLayers()) == [person.id()]
    assert QgsProject.instance().layerTreeRoot().findGroup(GROUP) is None


def test_heat_is_a_layer_of_ours_and_low_scores_are_transparent(layers, tmp_path):
    path = str(tmp_path / "heat.tif")
    image = gdal.GetDriverByName("GTiff").Create(path, 4, 4, 1, gdal.GDT_Float32)
    image.SetGeoTransform((500000, 100, 0, 5600000, 0, -100))
    system = osr.SpatialReference()
    system.ImportFromEPSG(32632)
    image.SetProjection(system.ExportToWkt())
    del image
    layers.show_heat([{"index": "a.rsidx", "path": path}])
    (layer,) = (one for one in QgsProject.instance().mapLayers().values() if isinstance(one, QgsRasterLayer))
    assert layer.customProperty(RESULT_PROPERTY)
    shade = layer.renderer().shader().rasterShaderFunction().shade
    assert shade(10.0)[4] == 0
    assert shade(90.0)[4] > 100
    layers.clear_heat()
    assert QgsProject.instance().mapLayers() == {}


def test_unreadable_heat_is_left_out(layers, tmp_path):
    layers.show_heat([{"index": "a.rsidx", "path": str(tmp_path / "gone.tif")}])
    assert QgsProject.instance().mapLayers() == {}


def test_flying_to_a_tile_centres_the_map_in_its_own_crs(layers, canvas):
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    layers.fly_to(match(1, 90)["corners"], UTM)
    centre = canvas.extent().center()
    assert (centre.x(), centre.y()) == (pytest.approx(9.0007, abs=1e-3), pytest.approx(50.5515, abs=1e-3))


def test_outline_comes_and_goes(layers, canvas):
    before = len(canvas.scene().items())
    layers.outline(match(1, 90)["corners"], UTM)
    layers.outline(match(2, 90)["corners"], UTM)
    assert len(canvas.scene().items()) == before + 1
    layers.clear_outline()
    layers.clear_outline()
    assert len(canvas.scene().items()) == before


@pytest.mark.parametrize(
    ("text", "authid"), [("EPSG:32632", "EPSG:32632"), (UTM, "EPSG:32632"), (WGS84, "EPSG:4326")]
)
def test_crs_from_code_or_wkt(text, authid):
    assert crs_from(text).authid() == authid


def test_crs_from_nothing():
    assert not crs_from(None).isValid()
