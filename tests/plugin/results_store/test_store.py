"""The GeoPackage of results: what is written is read again, and it follows the project's file."""

from __future__ import annotations

from dataclasses import replace

import pytest
from qgis.core import QgsProject

from rs_text_search_plugin.results_store.geopackage import StorageError, has_table, open_table
from rs_text_search_plugin.results_store.location import in_profile
from rs_text_search_plugin.results_store.store import ResultStore
from rs_text_search_plugin.results_store.stored_result import StoredResult, shown_matches
from rs_text_search_plugin.results_store.verdicts import Judgement, Verdict
from tests.plugin.search_results import match, result

REQUEST = {"text": "tanks", "indexes": ["a.rsidx"]}


def fresh(query="tanks", **changes):
    answer = result(match(1, 91.5), match(2, 40), query=query)
    return replace(StoredResult("", query, REQUEST, answer, "2026-05-12T10:00:00+02:00"), **changes)


def verdict(tile=10, judgement=Judgement.KEEP):
    return Verdict("tanks", "a.rsidx", tile, judgement, 91.5, "2026-05-12T10:05:00+02:00")


@pytest.fixture
def project(qgis_new_project):
    """A new project that was never saved."""
    return QgsProject.instance()


@pytest.fixture
def store(project):
    return ResultStore()


def save_as(store, path):
    """What happens when the person saves the project."""
    store.project.setFileName(str(path))
    old = store.follow()
    assert store.project.write()
    store.saved(old)


def reopen(store, path):
    assert store.project.read(str(path))
    return ResultStore()


def test_a_result_is_a_table_with_its_matches(store):
    saved = store.save_result(fresh())
    features = list(open_table(store.path, saved.table).getFeatures())
    assert [(f["rank"], f["score"], f["query"], f["index"]) for f in features] == [
        (1, 91.5, "tanks", "a.rsidx"),
        (2, 40.0, "tanks", "a.rsidx"),
    ]


def test_before_the_project_is_saved_results_lie_in_the_profile(store):
    store.save_result(fresh())
    assert store.path.is_file()
    assert in_profile(store.path)


def test_first_save_moves_them_beside_the_project(store, tmp_path):
    store.save_result(fresh())
    before = store.path
    save_as(store, tmp_path / "harbour.qgz")
    assert store.path == tmp_path / "harbour_text_search.gpkg"
    assert open_table(store.path, store.current.table).featureCount() == 2
    assert not before.exists()


def test_save_as_copies_and_leaves_the_first_project_whole(store, tmp_path):
    store.save_result(fresh())
    save_as(store, tmp_path / "a.qgz")
    save_as(store, tmp_path / "b.qgz")
    tables = [has_table(tmp_path / f"{name}_text_search.gpkg", store.current.table) for name in "ab"]
    assert tables == [True, True]


def test_a_file_of_that_name_is_never_replaced(store, tmp_path):
    taken = tmp_path / "harbour_text_search.gpkg"
    taken.write_text("of another project")
    store.save_result(fresh())
    save_as(store, tmp_path / "harbour.qgz")
    assert taken.read_text() == "of another project"
    assert store.path == tmp_path / "harbour_text_search_2.gpkg"


def test_everything_is_there_after_reopening(store, tmp_path):
    store.save_result(fresh(hue="#56b4e9", min_score=60.0, top=20))
    store.save_result(fresh("boats"))
    store.put_verdict(verdict())
    store.save_concept("depots", {"model": "compact", "weights": [0.5, 1]})
    save_as(store, tmp_path / "harbour.qgz")
    again = reopen(store, tmp_path / "harbour.qgz")
    assert again.kept == [replace(fresh(hue="#56b4e9", min_score=60.0, top=20), table="search_1")]
    assert again.current.title == "boats"
    assert again.verdicts("tanks") == {("a.rsidx", 10): verdict()}
    assert again.concepts() == {"depots": {"model": "compact", "weights": [0.5, 1]}}


def test_a_moved_project_finds_its_results(store, tmp_path):
    store.save_result(fresh())
    save_as(store, tmp_path / "harbour.qgz")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("harbour.qgz", "harbour_text_search.gpkg"):
        (tmp_path / name).rename(elsewhere / name)
    again = reopen(store, elsewhere / "harbour.qgz")
    assert again.path == elsewhere / "harbour_text_search.gpkg"
    assert again.current is not None


def test_what_the_saved_project_shows_survives_a_removal_that_was_not_saved(store, tmp_path):
    kept = store.save_result(fresh(hue="#56b4e9"))
    save_as(store, tmp_path / "harbour.qgz")
    store.remove(kept.table)
    store.purge()
    again = reopen(store, tmp_path / "harbour.qgz")
    again.settle(shown={kept.table})
    assert [stored.table for stored in again.kept] == [kept.table]


def test_what_is_removed_goes_with_the_next_save(store, tmp_path):
    kept = store.save_result(fresh(hue="#56b4e9"))
    save_as(store, tmp_path / "harbour.qgz")
    store.remove(kept.table)
    save_as(store, tmp_path / "harbour.qgz")
    assert not has_table(store.path, kept.table)


def test_a_kept_result_whose_layer_was_removed_is_still_listed(store):
    kept = store.save_result(fresh(hue="#56b4e9"))
    store.load()
    store.settle(shown=set())
    assert [stored.table for stored in store.kept] == [kept.table]


def test_a_purged_result_can_be_restored_from_what_it_was(store):
    saved = store.save_result(fresh())
    store.remove(saved.table)
    store.purge()
    back = store.restore(saved)
    assert open_table(store.path, back.table).featureCount() == 2


def test_heat_lies_beside_the_geopackage_and_moves_with_it(store, tmp_path):
    made = tmp_path / "heat.tif"
    made.write_bytes(b"heat")
    saved = store.save_heat(store.save_result(fresh()), [{"index": "a.rsidx", "path": str(made)}])
    made.unlink()
    save_as(store, tmp_path / "harbour.qgz")
    (file,) = store.heat_files(saved)
    assert file.parent == tmp_path
    assert file.read_bytes() == b"heat"


def test_a_project_closed_unsaved_leaves_nothing_but_work(store):
    store.save_result(fresh())
    store.discard()
    assert not store.path.exists()


def test_a_project_closed_unsaved_leaves_verdicts_alone(store):
    store.put_verdict(verdict())
    store.discard()
    assert store.path.exists()


def test_a_newer_verdict_replaces_the_older_one(store):
    store.put_verdict(verdict())
    store.put_verdict(verdict(judgement=Judgement.DISCARD))
    store.put_verdict(verdict(tile=20))
    assert [v.verdict for v in store.verdicts("tanks").values()] == [Judgement.DISCARD, Judgement.KEEP]
    store.remove_verdict("tanks", "a.rsidx", 20)
    assert list(store.verdicts("tanks")) == [("a.rsidx", 10)]


def test_verdicts_show_in_the_table_of_a_new_search(store):
    store.put_verdict(verdict())
    saved = store.save_result(fresh())
    assert next(open_table(store.path, saved.table).getFeatures())["verdict"] == "keep"


def test_a_folder_that_cannot_be_written_is_an_error_with_a_way_out(store, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    store.path = blocked / "x.gpkg"
    with pytest.raises(StorageError) as caught:
        store.save_result(fresh())
    assert "folder" in caught.value.hint


def test_shown_matches_are_those_that_pass_the_filter():
    assert [m["rank"] for m in shown_matches(fresh(min_score=50.0))] == [1]
