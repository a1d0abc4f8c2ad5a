"""Phrases of other languages in English, word by word."""

import pytest

from rs_text_search_plugin.engine.search.language.dictionary import LANGUAGES, dictionary, words_of
from rs_text_search_plugin.engine.search.language.translation import translate
from rs_text_search_plugin.engine.search.vocabulary import words


@pytest.mark.parametrize(
    ("code", "text", "english"),
    [
        ("de", "Schwimmbäder", "swimming pool"),
        ("de", "die roten Dächer", "red roofs"),
        ("de", "kleine Boote am Ufer", "boats at river bank"),
        ("de", "Weizenfelder", "ripe grain"),
        ("de", "Uferpark", "river bank park"),
        ("de", "Brueke", "bridge"),
        ("fr", "bateaux blancs", "white boats"),
        ("fr", "réservoirs ronds et blancs", "round white storage tanks"),
        ("es", "tanques de gas", "gas holder"),
        ("es", "arboles", "trees"),
        ("pt", "caminhões no estacionamento", "trucks in car park"),
        ("it", "barche ormeggiate", "moored boats"),
        ("nl", "geparkeerde vrachtwagens", "parked trucks"),
        ("pl", "małe jezioro", "small lake"),
        ("zh", "红色屋顶的房子", "red roofs house"),
    ],
)
def test_known_words_are_put_into_english(code, text, english):
    found = translate(dictionary(code), text)
    assert (found.english, found.unknown) == (english, ())


def test_unknown_words_are_told():
    assert translate(dictionary("de"), "Haus mit Quastenflosser").unknown == ("quastenflosser",)


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_word_list_covers_the_vocabulary(code):
    source = dictionary(code)
    assert {word.name for word in words()} <= source.raw["vocabulary"].keys()
    for word in words():
        assert translate(source, source.tag(word.name)).unknown == ()


@pytest.mark.parametrize("code", LANGUAGES)
def test_operators_are_said(code):
    for name in ("without", "and", "or", "rather than"):
        assert all(words_of(said) for said in dictionary(code).operators(name))
