"""The algorithms in a running QGIS, against the fake engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

from rs_text_search_plugin.engine_process.client import EngineClient
from rs_text_search_plugin.processing import algorithm
from rs_text_search_plugin.processing.provider import SearchProvider

start = EngineClient.start
FAKE = str(Path(__file__).parents[1] / "fake_engine.py")
NAMES = ["change", "classify", "contents", "describe", "export", "index", "search"]


class Notes(QgsProcessingFeedback):
    """Feedback that remembers."""

    def __init__(self):
        super().__init__()
        self.infos, self.warnings, self.steps = [], [], []
        self.progressChanged.connect(self.steps.append)

    def pushInfo(self, info):
        self.infos.append(info)

    def pushWarning(self, warning):
        self.warnings.append(warning)


@pytest.fixture
def provider(qgis_app, monkeypatch):
    monkeypatch.setenv("RS_TEXT_SEARCH_PYTHON", FAKE)
    provider = SearchProvider()
    registry = QgsApplication.processingRegistry()
    assert registry.addProvider(provider)
    yield provider
    registry.removeProvider(provider)


@pytest.fixture
def raster(qgis_app, tmp_path):
    """Where and as large as every raster of the fake engine."""
    path = str(tmp_path / "scene.tif")
    dataset = gdal.GetDriverByName("GTiff").Create(path, 100, 100, 3)
    dataset.SetGeoTransform((500000, 10, 0, 5600000, 0, -10))
    srs = osr.SpatialReference()
    srs.ImportFromEPSG(32632)
    dataset.SetProjection(srs.ExportToWkt())
    dataset = None
    return path


def run(name, parameters, notes=None, context=None):
    """Runs an algorithm, and raises what it raises."""
    found = QgsApplication.processingRegistry().createAlgorithmById(f"rs_text_search:{name}")
    context = context or QgsProcessingContext()
    context.setProject(QgsProject.instance())
    results, ok = found.run(parameters, context, notes or Notes(), {}, False)
    assert ok
    return results


def read(path):
    layer = QgsVectorLayer(path, "read", "ogr")
    assert layer.isValid()
    return layer


@pytest.fixture
def indexed(provider, raster):
    run("index", {"INPUT": raster})
    return raster


def test_all_are_offered_with_help_and_icon(provider):
    assert sorted(a.name() for a in provider.algorithms()) == NAMES
    assert [a.name() for a in provider.algorithms() if len(a.shortHelpString()) < 100] == []
    assert [a.name() for a in provider.algorithms() if a.icon().isNull()] == []


def test_index_hands_everything_on(provider, raster, tmp_path):
    notes = Notes()
    parameters = {
        "INPUT": raster,
        "TILE_SIZE": 60,
        "UNIT": 1,
        "OVERLAP": 0.25,
        "BANDS": [3, 2, 1],
        "EXTENT": "500000,500500,5599500,5600000 [EPSG:32632]",
        "RESTART": True,
        "OUTPUT": str(tmp_path / "elsewhere"),
    }
    result = run("index", parameters, notes)
    assert (result["OUTPUT"], result["TILES"]) == (str(tmp_path / "elsewhere"), 100)
    asked = json.loads((tmp_path / "elsewhere" / "meta.json").read_text())
    assert (asked["source"], asked["tile_m"], asked["overlap"]) == (raster, 60, 0.25)
    assert (asked["bands"], asked["mode"]) == ([3, 2, 1], "restart")
    assert asked["area"]["coordinates"][0][2] == [500500, 5600000]
    assert QgsCoordinateReferenceSystem.fromWkt(asked["area_crs"]).authid() == "EPSG:32632"
    assert "tile_px" not in asked
    assert max(notes.steps) == 100
    assert "100 tiles" in notes.infos[-1]


def test_index_by_default_asks_for_what_the_layer_shows(provider, raster):
    result = run("index", {"INPUT": raster})
    asked = json.loads(Path(result["OUTPUT"], "meta.json").read_text())
    assert sorted(asked) == ["bands", "device", "levels", "mode", "model", "overlap", "source"]
    assert asked["bands"] == [1, 2, 3]
    assert result["OUTPUT"] == raster + ".rsidx"


def test_search_writes_matches(indexed, tmp_path):
    notes = Notes()
    out = str(tmp_path / "matches.gpkg")
    result = run("search", {"RASTERS": [indexed], "TEXT": "tanks", "TOP": 5, "OUTPUT": out}, notes)
    layer = read(result["OUTPUT"])
    assert layer.crs().authid() == "EPSG:32632"
    first = next(layer.getFeatures())
    assert (first["rank"], first["query"], first["raster"]) == (1, "tanks", "scene.tif")
    assert first.geometry().boundingBox().toRectF().getRect() == (500000, 5599900, 100, 100)
    assert layer.featureCount() == 5
    assert "10 strong" in result["VERDICT"]
    assert notes.infos == [result["VERDICT"]]


def test_search_reranks_when_asked_to(indexed, tmp_path):
    out = str(tmp_path / "matches.gpkg")
    run("search", {"RASTERS": [indexed], "TEXT": "tanks", "TOP": 70, "RERANK": True, "OUTPUT": out})
    tiles = {feature["rank"]: feature["tile_id"] for feature in read(out).getFeatures()}
    assert [tiles[rank] for rank in (1, 64, 65)] == [63, 0, 64]


def test_search_takes_an_index_folder_as_well(indexed, tmp_path):
    out = str(tmp_path / "matches.gpkg")
    result = run("search", {"INDEX": indexed + ".rsidx", "TEXT": "tanks", "TOP": 5, "OUTPUT": out})
    assert read(result["OUTPUT"]).featureCount() == 5


def test_search_that_finds_nothing_is_no_error(indexed, tmp_path):
    out = str(tmp_path / "matches.gpkg")
    result = run("search", {"RASTERS": [indexed], "TEXT": "nothing", "OUTPUT": out})
    assert read(result["OUTPUT"]).featureCount() == 0
    assert result["VERDICT"] == "Nothing stands out."


def test_classify_gives_each_tile_one_phrase(indexed, tmp_path):
    out, file = str(tmp_path / "classes.gpkg"), tmp_path / "phrases.txt"
    file.write_text("boats\n", encoding="utf-8")
    given = {"RASTERS": [indexed], "PHRASES": "tanks\n\n", "FILE": str(file), "OUTPUT": out}
    result = run("classify", given)
    layer = read(out)
    assert result["SUMMARY"].startswith(
        "tanks 50, boats 0"
    )  # the fake engine scores both alike: the first wins
    assert {feature["phrase"] for feature in layer.getFeatures()} == {"tanks"}
    assert len({feature["tile_id"] for feature in layer.getFeatures()}) == layer.featureCount()


def test_classify_without_phrases_tells_so(indexed, tmp_path):
    with pytest.raises(QgsProcessingException, match="no phrases"):
        run("classify", {"RASTERS": [indexed], "OUTPUT": str(tmp_path / "classes.gpkg")})


def test_matches_that_are_loaded_are_named_and_styled(indexed):
    context = QgsProcessingContext()
    output = QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", QgsProject.instance())
    result = run("search", {"RASTERS": [indexed], "TEXT": "tanks", "OUTPUT": output}, context=context)
    details = context.layerToLoadOnCompletionDetails(result["OUTPUT"])
    layer = context.takeResultLayer(result["OUTPUT"])
    details.postProcessor().postProcessLayer(layer, context, Notes())
    assert details.name == "tanks"
    assert '"score"' in layer.renderer().dump()


def test_export_names_tiles_and_leaves_their_footprints_to_the_engine(indexed, tmp_path, monkeypatch):
    out = str(tmp_path / "matches.gpkg")
    run("search", {"RASTERS": [indexed], "TEXT": "tanks", "TOP": 3, "OUTPUT": out})
    started = []
    monkeypatch.setattr(EngineClient, "start", lambda self, python: (started.append(1), start(self, python)))
    shape = str(tmp_path / "out.shp")
    assert run("export", {"INPUT": out, "OUTPUT": shape})["FEATURES"] == 3
    exported = json.loads(Path(shape).read_text())  # the fake engine writes what it was given
    assert exported[1] == {"index": indexed + ".rsidx", "id": 1, "rank": 2, "score": 98.5, "region": 1}
    assert [match["rank"] for match in exported] == [1, 2, 3]
    assert len(started) == 1


def test_export_refuses_other_layers(provider, qgis_app):
    layer = QgsVectorLayer("Polygon?crs=EPSG:4326&field=name:string", "parks", "memory")
    with pytest.raises(QgsProcessingException, match="rank"):
        run("export", {"INPUT": layer, "OUTPUT": "/tmp/never.shp"})


def test_describe_tells_in_words(indexed):
    notes = Notes()
    result = run("describe", {"RASTERS": [indexed], "POINT": "500250,5599950 [EPSG:32632]"}, notes)
    assert result["SENTENCE"] == "Storage tanks in an industrial area."
    assert result["TAGS"].startswith("storage tank (91)")
    assert result["TILE_ID"] == 2
    assert notes.infos[0] == result["SENTENCE"]


def test_contents_become_a_table(indexed, tmp_path):
    out = str(tmp_path / "contents.gpkg")
    found = run("contents", {"RASTERS": [indexed], "OUTPUT": out})
    row = next(QgsVectorLayer(found["OUTPUT"]).getFeatures())
    assert (row["name"], row["places"], row["area_m2"]) == ("house", 9, 10_000.0)
    assert not row.hasGeometry()
    assert found["FOUND"] == 3


def test_change_writes_places_with_both_scores(indexed, tmp_path):
    notes, out = Notes(), str(tmp_path / "change.gpkg")
    found = run("change", {"BEFORE": indexed, "AFTER": indexed, "TEXT": "houses", "OUTPUT": out}, notes)
    (row,) = QgsVectorLayer(found["OUTPUT"]).getFeatures()
    assert (row["direction"], row["score_before"], row["score_after"]) == ("gained", 20.0, 80.0)
    assert row.geometry().boundingBox().width() == pytest.approx(16)
    assert notes.infos[0] == "1 place gained and 0 lost."


def test_the_engines_errors_become_processing_errors(indexed, tmp_path):
    with pytest.raises(QgsProcessingException, match="Use other words"):
        run("search", {"RASTERS": [indexed], "TEXT": "error", "OUTPUT": "TEMPORARY_OUTPUT"})


def test_a_dead_engine_becomes_a_processing_error(indexed):
    with pytest.raises(QgsProcessingException, match="The engine stopped"):
        run("search", {"RASTERS": [indexed], "TEXT": "crash", "OUTPUT": "TEMPORARY_OUTPUT"})


def test_nothing_to_search_in_is_told(provider):
    with pytest.raises(QgsProcessingException, match="index folder"):
        run("search", {"TEXT": "tanks", "OUTPUT": "TEMPORARY_OUTPUT"})


def test_cancel_reaches_the_engine(provider, raster, tmp_path):
    slow = str(tmp_path / "slow.tif")
    Path(raster).rename(slow)
    notes = Notes()
    notes.progressChanged.connect(lambda _: notes.cancel())
    with pytest.raises(QgsProcessingException, match="Stopped"):
        run("index", {"INPUT": slow}, notes)


def test_without_an_engine_it_says_what_to_do(provider, monkeypatch):
    monkeypatch.setattr(algorithm, "find_python", lambda: None)
    found = provider.algorithm("search")
    can, message = found.canExecute()
    assert not can
    assert "Set up engine" in message


def test_layers_that_gdal_does_not_read_are_refused(qgis_app):
    layer = QgsRasterLayer("type=xyz&url=http://localhost/{z}/{x}/{y}.png", "tiles", "wms")
    with pytest.raises(QgsProcessingException, match="GDAL"):
        algorithm.checked(layer)
