"""Matches and heat as layers: geometry, attributes, style, filter, and nothing of the person's touched."""

from __future__ import annotations

import pytest
from osgeo import gdal, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFillSymbol,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsSingleSymbolRenderer,
)
from qgis.PyQt.QtGui import QColor

from rs_text_search_plugin.map.layer_group import GROUP, RESULT_PROPERTY
from rs_text_search_plugin.map.result_layers import ResultLayers
from rs_text_search_plugin.map.styles import CLASSES, score_colour
from rs_text_search_plugin.map.tile_geometry import crs_from
from rs_text_search_plugin.version import VERSION
from tests.plugin.drawn import drawn
from tests.plugin.search_results import UTM, WGS84, match, result


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
    assert (drawn(layer), layer.featureCount()) == (20, 60)
    layers.filter(90, 1000)
    assert drawn(layer) == 10
    layers.filter(0, 1000)
    assert drawn(layer) == 60


def test_the_persons_own_layer_filter_stays(layers):
    layer = layers.show_matches(result(match(1, 90), match(2, 80)))
    layer.setSubsetString('"rank" = 1')
    layers.filter(50, 20)
    layers.show_matches(result(match(1, 70), match(2, 60), query="boats"))
    assert layer.subsetString() == '"rank" = 1'
    assert [(f["rank"], f["query"]) for f in layer.getFeatures()] == [(1, "boats")]


def test_the_persons_own_style_stays(layers):
    layer = layers.show_matches(result(match(1, 90)))
    layer.setRenderer(QgsSingleSymbolRenderer(QgsFillSymbol()))
    layers.filter(95, 20)
    layers.show_matches(result(match(1, 70), query="boats"))
    assert layer.renderer().type() == "singleSymbol"


def test_the_filter_stays_for_the_next_search(layers):
    layers.filter(50, 1)
    layer = layers.show_matches(result(match(1, 90), match(2, 80)))
    assert drawn(layer) == 1


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
    scores = (100, 0, 50, 79.99)
    layer = layers.show_matches(result(*(match(rank, score) for rank, score in enumerate(scores, 1))))
    assert drawn(layer) == len(scores)


def test_metadata_tells_where_a_result_comes_from(layers):
    metadata = layers.show_matches(result(match(1, 90))).metadata()
    facts = "\n".join(metadata.history())
    wanted = ("tanks", "compact", "f" * 64, "tiles of 100 x 100 px", "overlap 25%", VERSION)
    assert [fact for fact in wanted if fact not in facts] == []
    assert metadata.abstract() == "1 matches"


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
    layers.show_matches(result(match(1, 90)))
    layers.show_heat([{"index": "a.rsidx", "path": path}])
    (layer,) = (one for one in QgsProject.instance().mapLayers().values() if isinstance(one, QgsRasterLayer))
    assert layer.customProperty(RESULT_PROPERTY)
    shade = layer.renderer().shader().rasterShaderFunction().shade
    assert shade(10.0)[4] == 0
    assert shade(90.0)[4] > 100
    layers.clear_heat()
    assert [
        one for one in QgsProject.instance().mapLayers().values() if isinstance(one, QgsRasterLayer)
    ] == []


def test_going_to_a_tile_centres_the_map_in_its_own_crs(layers, canvas):
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    layers.highlight.go_to(match(1, 90)["corners"], UTM)
    centre = canvas.extent().center()
    assert (centre.x(), centre.y()) == (pytest.approx(9.0007, abs=1e-3), pytest.approx(50.5515, abs=1e-3))


def test_outline_comes_and_goes(layers, canvas):
    before = len(canvas.scene().items())
    layers.highlight.outline(match(1, 90)["corners"], UTM)
    layers.highlight.outline(match(2, 90)["corners"], UTM)
    assert len(canvas.scene().items()) == before + 1
    layers.highlight.clear()
    layers.highlight.clear()
    assert len(canvas.scene().items()) == before


@pytest.mark.parametrize(
    ("text", "authid"), [("EPSG:32632", "EPSG:32632"), (UTM, "EPSG:32632"), (WGS84, "EPSG:4326")]
)
def test_crs_from_code_or_wkt(text, authid):
    assert crs_from(text).authid() == authid


def test_crs_from_nothing():
    assert not crs_from(None).isValid()
