"""Each tile gets the phrase that claims it best."""

from __future__ import annotations

from rs_text_search_plugin.results_store.classification import classified, phrases_in, requests_for
from tests.plugin.search_results import match, result

PHRASES = ["tanks", "boats"]


def answers():
    tanks = result(match(1, 90), match(2, 60))
    boats = result(match(1, 70), match(2, 80), match(3, 55))
    return [{**answer, "tiles": 10} for answer in (tanks, boats)]


def test_the_best_phrase_wins():
    found = classified(PHRASES, answers())
    assert [(m["id"], m["phrase"], m["rank"]) for m in found["matches"]] == [
        (10, "tanks", 1),
        (20, "boats", 2),
        (30, "boats", 3),
    ]


def test_the_summary_counts_each_phrase_and_none():
    assert classified(PHRASES, answers())["verdict"] == "tanks 1, boats 2, none 7"


def test_the_first_phrase_wins_among_equals():
    same = [{**result(match(1, 80)), "tiles": 1} for _ in PHRASES]
    assert classified(PHRASES, same)["matches"][0]["phrase"] == "tanks"


def test_blank_lines_and_repetitions_are_left_out():
    assert phrases_in(" tanks \n\nboats\ntanks\n") == PHRASES


def test_only_what_is_claimed_is_asked_for():
    assert [request["min_score"] for request in requests_for(PHRASES, {"indexes": ["a"]})] == [50, 50]
