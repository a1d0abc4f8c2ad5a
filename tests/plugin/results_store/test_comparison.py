"""What is new and what is gone since an earlier answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from qgis.PyQt.QtCore import QLocale

from rs_text_search_plugin.results_store.comparison import compare, day
from rs_text_search_plugin.results_store.stored_result import StoredResult
from tests.plugin.search_results import match, result

SECOND = match(2, 80, at=(500200.0, 5600000.0))
OLD = StoredResult("", "tanks", {}, result(match(1, 90), SECOND), "2020-05-12T10:00:00+02:00", 50.0)
MOVED = match(1, 95, at=(509000.0, 5600000.0))


def test_new_and_gone():
    new = replace(OLD, result=result(MOVED, SECOND))
    change = compare(OLD, new)
    assert (change.new, [m["rank"] for m in change.gone]) == ([MOVED], [1])


def test_what_the_filter_hides_is_gone():
    change = compare(OLD, replace(OLD, min_score=85.0))
    assert [m["rank"] for m in change.gone] == [2]


def test_other_tile_ids_are_no_change():
    again = [{**m, "id": m["id"] + 1000} for m in OLD.result["matches"]]
    change = compare(OLD, replace(OLD, result=result(*again)))
    assert (change.new, change.gone) == ([], [])


def test_it_reads_as_a_sentence():
    QLocale.setDefault(QLocale("en"))
    assert str(compare(OLD, replace(OLD, min_score=85.0))) == "0 new, 1 gone since 12 May 2020"


def test_this_year_goes_without_saying():
    assert day(f"{date.today().year}-05-12T10:00:00+02:00") == "12 May"
