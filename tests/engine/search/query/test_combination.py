"""Scores of phrases -> scores of a query."""

import numpy as np
import pytest

from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.search.calibration import percent
from rs_text_search_plugin.engine.search.query.combination import combined
from rs_text_search_plugin.engine.search.query.parse import parse

CHANCES = {"lake": [0.9, 0.2, 0.6], "forest": [0.4, 0.8, 0.5], "boats": [0.5, 0.0001, 0.9]}


def scores(text):
    def logits(phrase):
        chance = np.array(CHANCES[phrase.english], dtype=np.float32)
        return np.log(chance / (1 - chance))

    return percent(combined(parse(Query(text)), logits))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("lake", [90, 20, 60]),
        ("lake AND forest", [40, 20, 50]),
        ("lake or forest", [90, 80, 60]),
        ("lake rather than forest", [50, 0, 10]),
        ("lake without boats", [45, 20, 6]),
        ("lake or forest without boats", [45, 80, 6]),
    ],
)
def test_scores_are_combined_as_the_help_says(text, wanted):
    assert scores(text) == pytest.approx(wanted, abs=0.1)


def test_what_is_wanted_can_be_given_as_scores():
    given = np.array([0.0, 2.0], dtype=np.float32)
    assert np.array_equal(combined(parse(Query("lake")), lambda phrase: None, given), given)
