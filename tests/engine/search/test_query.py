"""Words and marks -> one vector."""

import numpy as np
import pytest

from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.search.query import (
    fit_marks,
    framed,
    is_sentence,
    phrases,
    prompts,
    tidy,
    understood,
    with_examples,
)
from tests.engine.fakes import ColourEncoder
from tests.engine.synthetic import unit

DIM = 32


def test_at_most_eight_templates_each_with_a_place_for_the_text():
    assert len(prompts().templates) <= 8
    assert all(frame.count("{}") == 1 for frame in (*prompts().templates, prompts().sentence))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("storage tanks", False),
        ("a large white building near the sea shore", False),
        ("there are many boats in the harbour", True),
    ],
)
def test_sentences_are_told_from_phrases(text, sentence):
    assert is_sentence(text) is sentence
    assert text in framed(text)
    assert len(framed(text)) == (2 if sentence else len(prompts().templates))


def test_text_is_tidied():
    assert tidy("  storage\n tanks. ") == "storage tanks"
    assert len(tidy("x " * 900)) <= 500
    assert framed("{0} {x}")[0] == "{0} {x}"  # braces of the person are no templates


@pytest.mark.parametrize(
    ("typed", "text", "without"),
    [
        ("a bridge without boats", "a bridge", "boats"),
        ("Parking lot with no cars", "Parking lot", "cars"),
        ("ground without plants without roads", "ground", "plants without roads"),
        ("without boats", "without boats", ""),  # nothing would be left to search for
        ("withoutboats", "withoutboats", ""),
    ],
)
def test_a_text_with_without_is_taken_apart(typed, text, without):
    assert understood(Query(text=typed)) == Query(text=text, without=without)


def test_a_query_that_already_says_without_keeps_its_text():
    query = Query(text="a bridge without boats", without="cars")
    assert understood(query) == query


def test_phrases_are_unit_length_and_independent_of_their_company():
    encoder = ColourEncoder()
    alone, together = phrases(encoder, ["red"])[0], phrases(encoder, ["blue", "red", "a red roof"])
    assert np.allclose(together[1], alone, atol=1e-6)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert float(together[1] @ together[2]) > 0.9 > float(together[0] @ together[1])


def cloud(rng, direction, count, weight=1.0):
    return unit(rng.normal(0, 1 / np.sqrt(DIM), (count, DIM)) + weight * direction)


@pytest.fixture
def scene():
    """Tiles around a common direction; the wanted ones also lean along `truth`, which the text knows half."""
    rng = np.random.default_rng(4)
    common, truth, other = unit(rng.normal(size=(3, DIM)))
    background = cloud(rng, common, 400)
    wanted = cloud(rng, unit(2 * common + truth), 40)
    text = unit(truth + 2 * other)
    return background, wanted, text


def precision(query, wanted, background, k=20):
    scores = np.concatenate([wanted, background]) @ query
    return float((np.argsort(-scores)[:k] < len(wanted)).mean())


def test_a_marked_tile_helps_the_text(scene):
    background, wanted, text = scene
    none = np.zeros((0, DIM), np.float32)
    shifted = with_examples(text, wanted[:1], none, background)
    assert precision(shifted, wanted[1:], background) > precision(text, wanted[1:], background)
    assert np.linalg.norm(shifted) == pytest.approx(1, abs=1e-5)


def test_many_marks_help_more_than_few_and_noise_does_not_ruin_the_text(scene):
    background, wanted, text = scene
    few = with_examples(text, wanted[:1], background[:1], background)
    many = with_examples(text, wanted[:8], background[:8], background)
    assert precision(many, wanted[8:], background) >= precision(few, wanted[8:], background)
    arbitrary = with_examples(text, background[:3], background[3:6], background)
    assert precision(arbitrary, wanted, background) > 0.5 * precision(text, wanted, background)


def test_the_classifier_separates_its_marks_and_stays_near_its_prior():
    rng = np.random.default_rng(0)
    like, unlike = unit(rng.normal(size=(6, DIM))), unit(rng.normal(size=(7, DIM)))
    prior = unit(rng.normal(size=DIM))
    fitted = fit_marks(prior, like, unlike)
    assert (like @ fitted).mean() > (like @ prior).mean()
    assert (unlike @ fitted).mean() < (unlike @ prior).mean()
    assert float(fitted @ prior) > 0.7
    assert np.array_equal(fitted, fit_marks(prior, like, unlike))


def test_it_takes_a_text_or_a_wanted_tile():
    none, some = np.zeros((0, DIM), np.float32), unit(np.ones((3, DIM)))
    for unlike in (none, some):
        with pytest.raises(QueryError):
            with_examples(None, none, unlike, some)
