"""Wilson's interval and the stratified estimate of precision."""

from __future__ import annotations

import pytest

from rs_text_search_plugin.gui.review.order import Order, ordered
from rs_text_search_plugin.gui.review.precision import band, estimate, wilson


def test_the_interval_is_wilsons():
    """Values of Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, and 0 of 20."""
    found = wilson(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    none = wilson(0, 20)
    assert (none.low, round(none.high, 4)) == (0.0, 0.1611)


def test_bands_are_those_of_the_legend():
    assert [band(score) for score in (0, 49.9, 50, 64, 65, 80, 89, 90, 100)] == [0, 0, 1, 1, 2, 3, 3, 4, 4]


def test_a_band_counts_by_its_matches_not_by_its_verdicts():
    scores = [95.0] * 90 + [55.0] * 10
    verdicts = [(95.0, True)] * 4 + [(55.0, False)] * 16
    found = estimate(scores, verdicts, 50)
    assert found.precision is not None
    assert found.precision.value == pytest.approx(0.9)
    assert found.precision.low < 0.9 < found.precision.high


def test_a_band_without_a_verdict_leaves_it_open():
    assert estimate([95.0, 55.0], [(95.0, True)], 50).precision is None
    assert estimate([95.0, 55.0], [(95.0, True)], 80).precision is not None


def test_more_verdicts_make_it_narrower():
    few = estimate([95.0] * 100, [(95.0, True), (95.0, False)] * 2, 50).precision
    many = estimate([95.0] * 100, [(95.0, True), (95.0, False)] * 20, 50).precision
    assert many.high - many.low < few.high - few.low


MATCHES = [
    {"index": "a", "id": n, "rank": n + 1, "score": score}
    for n, score in enumerate([99, 98, 97, 85, 84, 60, 52, 48, 20])
]


def test_a_sample_takes_the_bands_in_turn():
    taken = [band(match["score"]) for match in ordered(MATCHES, Order.SAMPLE, 50)]
    assert taken == [4, 3, 1, 4, 3, 1, 4]


def test_best_first_and_least_sure_first():
    assert [match["rank"] for match in ordered(MATCHES, Order.BEST, 80)] == [1, 2, 3, 4, 5]
    assert [match["score"] for match in ordered(MATCHES, Order.UNSURE, 80)][:3] == [52, 48, 60]
