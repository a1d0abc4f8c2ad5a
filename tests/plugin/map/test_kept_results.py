"""Keeping, comparing, removing and restoring results on the map."""

from __future__ import annotations

import pytest
from qgis.core import QgsPointXY, QgsProject

from rs_text_search_plugin.map.kept_layers import KeptLayers
from rs_text_search_plugin.map.layer_group import matches_layer
from rs_text_search_plugin.map.result_layers import ResultLayers
from tests.plugin.search_results import match, result


@pytest.fixture
def layers(canvas, qgis_new_project):
    return ResultLayers(canvas)


@pytest.fixture
def kept(layers):
    return KeptLayers(layers)


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


def test_a_kept_result_stays_beside_the_next(layers, kept):
    search(layers, "tanks")
    kept.keep()
    search(layers, "boats")
    assert names() == ["boats", "tanks"]
    assert layers.matches.name() == "boats"


def test_kept_results_have_hues_of_their_own(layers, kept):
    for query in ("tanks", "boats", "trees"):
        search(layers, query)
        kept.keep()
    hues = [stored.hue for stored in layers.store.kept]
    assert len(set(hues)) == 3
    symbol = matches_layer("search_1").renderer().rootRule().descendants()[1].symbol()
    assert symbol.symbolLayers()[-1].color().name() == hues[0]


def test_keeping_remembers_the_filter(layers, kept):
    layers.filter(80, 20)
    search(layers, "tanks")
    layers.filter(60, 10)
    pinned = kept.keep()
    assert (pinned.min_score, pinned.top) == (60, 10)


def test_rename_changes_the_legend(layers, kept):
    search(layers, "tanks")
    table = kept.keep().table
    kept.rename(table, "Oil depots")
    assert names() == ["Oil depots"]
    assert layers.store.result(table).title == "Oil depots"


def test_hide_and_show(layers, kept):
    search(layers, "tanks")
    table = kept.keep().table
    kept.show(table, False)
    assert kept.shown() == set()
    kept.show(table, True)
    assert kept.shown() == {table}


def test_showing_adds_a_layer_that_the_person_removed(layers, kept):
    layer = search(layers, "tanks")
    table = kept.keep().table
    QgsProject.instance().removeMapLayer(layer.id())
    kept.show(table, True)
    assert names() == ["tanks"]
    assert matches_layer(table).featureCount() == 2


def test_keep_can_be_undone(layers, kept):
    search(layers, "tanks")
    table = kept.keep().table
    kept.release(table)
    assert layers.store.kept == []
    assert layers.matches.name() == "tanks"


def test_clear_can_be_undone(layers):
    search(layers, "tanks")
    cleared = layers.clear()
    assert names() == []
    layers.restore(cleared)
    assert (names(), layers.matches.featureCount()) == (["tanks"], 2)


def test_a_removed_result_can_be_restored_after_a_search(layers, kept):
    search(layers, "tanks")
    stored = kept.keep()
    layers.remove(stored.table)
    search(layers, "boats")
    layers.restore(stored)
    assert names() == ["boats", "tanks"]


def test_renewing_puts_the_newer_answer_in_the_same_layer(layers, kept):
    layer = search(layers, "tanks")
    old = kept.keep("Depots")
    new = kept.renew(old.table, result(match(1, 95)))
    assert (names(), layer.featureCount()) == (["Depots"], 1)
    assert (new.hue, new.title) == (old.hue, "Depots")
    assert [stored.table for stored in layers.store.kept] == [new.table]


def test_zooming_shows_all_matches(layers, kept, canvas):
    search(layers, "tanks")
    kept.zoom_to(kept.keep().table)
    assert canvas.extent().contains(QgsPointXY(500050, 5599950))
