"""Queries that the vocabulary knows are helped by its other words for the same thing."""

import numpy as np
import pytest

from rs_text_search_plugin.engine.search import vocabulary
from rs_text_search_plugin.engine.search.query import embedding
from rs_text_search_plugin.engine.search.query.prompts import phrases
from tests.engine.fakes import ColourEncoder


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    monkeypatch.setenv("RS_TEXT_SEARCH_CACHE", str(tmp_path))
    return ColourEncoder(name="words")


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("taxiway", "taxiway"),
        ("The Taxiways", "taxiway"),
        ("cloverleaf", "motorway junction"),
        ("a parking lot", "car park"),
    ],
)
def test_entries_are_found_by_name_and_synonym_in_either_number(typed, name):
    row = embedding.entries()[embedding._bare(typed)]
    assert vocabulary.words()[row].name == name


def test_a_name_goes_before_a_synonym_of_another_entry():
    for row, word in enumerate(vocabulary.words()):
        assert embedding.entries()[embedding._bare(word.name)] == row


def test_only_whole_entries_are_helped(encoder):
    texts = ["cloverleaf", "red roofs", "a red cloverleaf near water"]
    plain, helped = phrases(encoder, texts), embedding.embed_english(encoder, texts)
    entry = embedding.vocabulary_vectors(encoder)[embedding.entries()["cloverleaf"]]
    assert np.array_equal(helped[2], plain[2])
    assert float(helped[0] @ entry) > float(plain[0] @ entry) + 0.01
    assert np.allclose(np.linalg.norm(helped, axis=1), 1, atol=1e-5)


def test_a_word_that_encoders_do_not_know_is_taken_for_the_name(encoder):
    lido, pool = embedding.embed_english(encoder, ["the lido", "swimming pool"])
    assert np.array_equal(lido, pool)


def test_no_word_is_asked_for_that_is_an_entry():
    assert embedding.names_asked_for().keys().isdisjoint(embedding.entries())
