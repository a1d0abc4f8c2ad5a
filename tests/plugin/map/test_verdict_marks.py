"""Verdicts on the map and in exports."""

from __future__ import annotations

import pytest
from qgis.core import QgsVectorLayer

from rs_text_search_plugin.map.result_layers import ResultLayers
from rs_text_search_plugin.map.verdict_marks import export_verdicts, put_verdict, remove_verdict
from rs_text_search_plugin.results_store.verdicts import Judgement, Verdict
from tests.plugin.search_results import match, result

DISCARDED = Verdict("tanks", "a.rsidx", 20, Judgement.DISCARD, 70, "2026-05-12")


@pytest.fixture
def layers(canvas, qgis_new_project):
    layers = ResultLayers(canvas)
    layers.show_matches(result(match(1, 90), match(2, 70)))
    return layers


def verdicts(layer):
    return [feature["verdict"] or "" for feature in layer.getFeatures()]


def test_a_verdict_shows_on_the_layer_at_once(layers):
    put_verdict(layers.store, DISCARDED)
    assert verdicts(layers.matches) == ["", "discard"]


def test_a_verdict_taken_back_is_gone_from_the_layer(layers):
    put_verdict(layers.store, DISCARDED)
    remove_verdict(layers.store, "tanks", "a.rsidx", 20)
    assert verdicts(layers.matches) == ["", ""]


def test_a_verdict_is_of_its_query_only(layers):
    layers.show_matches(result(match(1, 90), match(2, 70), query="boats"))
    put_verdict(layers.store, DISCARDED)
    assert verdicts(layers.matches) == ["", ""]


@pytest.mark.parametrize("name", ["judged.gpkg", "judged.geojson", "judged.shp"])
def test_judged_matches_are_exported(layers, tmp_path, name):
    put_verdict(layers.store, DISCARDED)
    assert export_verdicts(layers.store, layers.store.current, tmp_path / name) == 1
    written = QgsVectorLayer(str(tmp_path / name))
    assert [(f["tile_id"], f["verdict"]) for f in written.getFeatures()] == [(20, "discard")]
