"""Keeping, comparing, removing and restoring results on the map."""

from __future__ import annotations

import pytest
from qgis.core import QgsProject

from rs_text_search_plugin.map.layer_group import matches_layer
from rs_text_search_plugin.map.result_layers import ResultLayers
from rs_text_search_plugin.results_store.verdicts import Judgement, Verdict
from tests.plugin.search_results import match, result


@pytest.fixture
def layers(canvas, qgis_new_project):
    return ResultLayers(canvas)


def search(layers, query, *scores):
    return layers.show_matches(
        result(*(match(rank, score) for rank, score in enumerate(scores or (90, 70), 1)), query=query),
        {"text": query},
    )


def names():
    return sorted(layer.name() for layer in QgsProject.instance().mapLayers().values())


def test_a_search_replaces_the_one_before(layers):
    search(layers, "tanks")
    search(layers, "boats")
    assert names() == ["boats"]
    assert [stored.title for stored in layers.store.results] == ["boats"]


def test_a_kept_result_stays_beside_the_next(layers):
    search(layers, "tanks")
    layers.keep()
    search(layers, "boats")
    assert names() == ["boats", "tanks"]
    assert layers.matches.name() == "boats"


def test_kept_results_have_hues_of_their_own(layers):
    for query in ("tanks", "boats", "trees"):
        search(layers, query)
        layers.keep()
    hues = [stored.hue for stored in layers.store.kept]
    assert len(set(hues)) == 3
    symbol = matches_layer("search_1").renderer().rootRule().descendants()[1].symbol()
    assert symbol.symbolLayers()[-1].color().name() == hues[0]


def test_keeping_remembers_the_filter(layers):
    layers.filter(80, 20)
    search(layers, "tanks")
    layers.filter(60, 10)
    kept = layers.keep()
    assert (kept.min_score, kept.top) == (60, 10)


def test_rename_changes_the_legend(layers):
    search(layers, "tanks")
    table = layers.keep().table
    layers.rename(table, "Oil depots")
    assert names() == ["Oil depots"]
    assert layers.store.result(table).title == "Oil depots"


def test_hide_and_show(layers):
    search(layers, "tanks")
    table = layers.keep().table
    layers.show(table, False)
    assert not layers.is_shown(table)
    layers.show(table, True)
    assert layers.is_shown(table)


def test_showing_adds_a_layer_that_the_person_removed(layers):
    layer = search(layers, "tanks")
    table = layers.keep().table
    QgsProject.instance().removeMapLayer(layer.id())
    layers.show(table, True)
    assert names() == ["tanks"]
    assert matches_layer(table).featureCount() == 2


def test_keep_can_be_undone(layers):
    search(layers, "tanks")
    table = layers.keep().table
    layers.unkeep(table)
    assert layers.store.kept == []
    assert layers.matches.name() == "tanks"


def test_clear_can_be_undone(layers):
    search(layers, "tanks")
    cleared = layers.clear()
    assert names() == []
    layers.restore(cleared)
    assert (names(), layers.matches.featureCount()) == (["tanks"], 2)


def test_a_removed_result_can_be_restored_after_a_search(layers):
    search(layers, "tanks")
    stored = layers.keep()
    layers.remove(stored.table)
    search(layers, "boats")
    layers.restore(stored)
    assert names() == ["boats", "tanks"]


def test_a_verdict_shows_on_the_layer_at_once(layers):
    layer = search(layers, "tanks")
    layers.put_verdict(Verdict("tanks", "a.rsidx", 20, Judgement.DISCARD, 70, "2026-05-12"))
    assert [f["verdict"] or "" for f in layer.getFeatures()] == ["", "discard"]
    layers.remove_verdict("tanks", "a.rsidx", 20)
    assert [f["verdict"] or "" for f in layer.getFeatures()] == ["", ""]
