"""Results follow the project: saved, saved elsewhere, closed, opened again."""

from __future__ import annotations

import pytest
from qgis.core import QgsProject

from rs_text_search_plugin.map.kept_layers import KeptLayers
from rs_text_search_plugin.map.layer_group import result_layers
from rs_text_search_plugin.map.project_link import ProjectLink
from rs_text_search_plugin.map.result_layers import ResultLayers
from tests.plugin.drawn import drawn
from tests.plugin.search_results import match, result

SESSION = {"text": "tanks", "rasters": ["a.tif"], "area": {"kind": "view"}}


@pytest.fixture
def link(canvas, qgis_new_project):
    link = ProjectLink(ResultLayers(canvas), lambda: SESSION)
    yield link
    link.detach()


def search(link, query):
    return link.layers.show_matches(result(match(1, 90), match(2, 70), query=query), {"text": query})


def write(path):
    QgsProject.instance().setFileName(str(path))
    assert QgsProject.instance().write()


def test_layers_read_from_beside_the_saved_project(link, tmp_path):
    layer = search(link, "tanks")
    write(tmp_path / "harbour.qgz")
    assert layer.source().startswith(str(tmp_path / "harbour_text_search.gpkg"))
    assert layer.featureCount() == 2


def test_the_session_comes_back(link, tmp_path, qtbot):
    search(link, "tanks")
    write(tmp_path / "harbour.qgz")
    QgsProject.instance().clear()
    opened = []
    link.opened.connect(opened.append)
    QgsProject.instance().read(str(tmp_path / "harbour.qgz"))
    assert opened[-1] == SESSION
    assert link.store.current.request == {"text": "tanks"}


def test_results_come_back_with_style_and_filter(link, tmp_path):
    search(link, "tanks")
    link.layers.filter(80, 20)
    KeptLayers(link.layers).keep()
    search(link, "boats")
    write(tmp_path / "harbour.qgz")
    QgsProject.instance().clear()
    QgsProject.instance().read(str(tmp_path / "harbour.qgz"))
    shown = {layer.name(): (layer.featureCount(), drawn(layer)) for layer in result_layers()}
    assert shown == {"tanks": (2, 1), "boats": (2, 1)}
    assert (link.store.kept[0].title, link.store.current.title) == ("tanks", "boats")


def test_a_search_after_saving_leaves_the_saved_project_as_it_was(link, tmp_path):
    search(link, "tanks")
    write(tmp_path / "harbour.qgz")
    search(link, "boats")
    QgsProject.instance().clear()
    QgsProject.instance().read(str(tmp_path / "harbour.qgz"))
    (layer,) = result_layers()
    assert [layer.name(), *{f["query"] for f in layer.getFeatures()}] == ["tanks", "tanks"]
    assert link.store.current.title == "tanks"


def test_another_project_starts_without_results(link, tmp_path):
    search(link, "tanks")
    opened = []
    link.opened.connect(opened.append)
    QgsProject.instance().clear()
    assert opened == [{}]
    assert link.store.results == []


def test_without_the_plugin_the_project_shows_its_layers(link, tmp_path):
    search(link, "tanks")
    write(tmp_path / "harbour.qgz")
    plain = QgsProject()
    plain.read(str(tmp_path / "harbour.qgz"))
    (layer,) = plain.mapLayers().values()
    assert (layer.isValid(), layer.name(), drawn(layer)) == (True, "tanks", 2)


def test_the_style_lies_in_the_geopackage_too(link, tmp_path):
    layer = search(link, "tanks")
    write(tmp_path / "harbour.qgz")
    _, _, names, _, _ = layer.listStylesInDatabase()
    assert names == ["tanks"]


def test_results_that_cannot_be_copied_stay_where_they_are(link, tmp_path):
    search(link, "tanks")
    reported = []
    link.failed.connect(reported.append)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "harbour_text_search.part.gpkg").mkdir()
    write(folder / "harbour.qgz")
    assert "cannot be written" in reported[0].message
    assert link.layers.matches.featureCount() == 2
