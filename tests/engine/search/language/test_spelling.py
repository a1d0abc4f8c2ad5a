"""Typing slips are repaired, and nothing else is touched."""

import pytest

from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.search.language.spelling import lexicon, nearest, repair, repaired
from rs_text_search_plugin.engine.search.search import search
from rs_text_search_plugin.engine.search.vocabulary import words
from tests.engine.fakes import ColourEncoder
from tests.engine.synthetic import SyntheticIndex, checkerless, unit


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("airpport", "airport"),  # a letter twice
        ("stdium", "stadium"),  # a letter missing
        ("brigde", "bridge"),  # two swapped
        ("hause", "house"),  # a wrong one
        ("industrlarea", None),  # nobody can tell
        ("residencial", "residential"),
        ("motorwy juncton", "motorway junction"),
        ("pnod", "pond"),
        ("rver", "river"),
        ("pnd", None),  # too short
        ("Tenis courts, swiming pool", "tennis courts, swimming pool"),
    ],
)
def test_slips_are_repaired(typed, meant):
    assert repaired(typed) == (meant or typed)


@pytest.mark.parametrize(
    "text",
    [
        "airport", "airports", "harbor", "harbour", "CAR PARK", "karst", "fjords", "gorse", "tarn", "carts", "sheep",
        "baseballfield", "parkland", "a river crossing bare land", "Thames", "Čačak", "東京", "A380", "",
    ],
)  # fmt: skip
def test_right_rare_and_foreign_words_stay_as_typed(text):
    assert repaired(text) == text


def test_our_own_vocabulary_is_never_touched():
    for word in words():
        for text in (word.name, *word.also):
            assert repaired(text) == text


def test_a_repair_needs_the_first_letter_and_prefers_our_vocabulary():
    assert repair("xoads") is None  # "roads" is one slip away
    assert "tents" in lexicon().ours  # one slip from "tenis" too
    assert repair("tenis") == "tennis"  # its letters are the same


def test_the_nearest_of_given_words_is_found_within_as_many_slips():
    assert nearest("brucke", ["brucke", "brocken"]) == "brucke"
    assert nearest("schwimbad", ["schwimmbad", "stadtpark"]) == "schwimmbad"
    assert nearest("wald", ["feld", "see"]) is None


def test_foreign_words_of_a_bert_vocabulary_do_not_hide_slips():
    assert {"forest", "the", "houses"} <= lexicon().known


def test_a_search_says_what_it_understood():
    encoder = ColourEncoder()
    vectors = unit(encoder.texts(["red", "blue", "green", "white"]))
    index = SyntheticIndex(vectors, checkerless(2, 2), fingerprint=encoder.fingerprint)
    typo, right = (search([index], encoder, Query(text=text)) for text in ("yelow", "yellow"))
    assert (typo.query, typo.understood, right.understood) == ("yelow", "yellow", "")
    assert typo.verdict == f"Understood as “yellow”. {right.verdict}"
    assert [match.score for match in typo.matches] == [match.score for match in right.matches]
