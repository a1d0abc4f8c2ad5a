"""Marked tiles and a text -> one vector."""

import numpy as np
import pytest

from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.engine.search.query.examples import fit_marks, with_examples
from rs_text_search_plugin.engine.vectors import unit_length

DIM = 32


def cloud(rng, direction, count, weight=1.0):
    return unit_length(rng.normal(0, 1 / np.sqrt(DIM), (count, DIM)) + weight * direction)


@pytest.fixture
def scene():
    """Tiles around a common direction; the wanted ones also lean along `truth`, which the text knows half."""
    rng = np.random.default_rng(4)
    common, truth, other = unit_length(rng.normal(size=(3, DIM)))
    background = cloud(rng, common, 400)
    wanted = cloud(rng, unit_length(2 * common + truth), 40)
    text = unit_length(truth + 2 * other)
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
    like, unlike = unit_length(rng.normal(size=(6, DIM))), unit_length(rng.normal(size=(7, DIM)))
    prior = unit_length(rng.normal(size=DIM))
    fitted = fit_marks(prior, like, unlike)
    assert (like @ fitted).mean() > (like @ prior).mean()
    assert (unlike @ fitted).mean() < (unlike @ prior).mean()
    assert float(fitted @ prior) > 0.7
    assert np.array_equal(fitted, fit_marks(prior, like, unlike))


def test_it_takes_a_text_or_a_wanted_tile():
    none, some = np.zeros((0, DIM), np.float32), unit_length(np.ones((3, DIM)))
    for unlike in (none, some):
        with pytest.raises(QueryError):
            with_examples(None, none, unlike, some)
