"""Which language a query is in."""

import pytest

from rs_text_search_plugin.engine.search.language.detection import detect


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("storage tanks", "en"), ("port", "en"), ("houses along a road", "en"), ("tarn", "en"), ("airpport", "en"),
        ("Schwimmbad", "de"), ("rote Dächer", "de"), ("Strand", "de"), ("puentes", "es"), ("casas con piscina", "es"),
        ("toits rouges", "fr"), ("le long d'une rivière", "fr"), ("estrada de terra", "pt"), ("armazéns", "pt"),
        ("tetti rossi", "it"), ("spiaggia", "it"), ("zwembad", "nl"), ("rode daken", "nl"), ("drzewa nad rzeką", "pl"),
        ("游泳池", "zh"), ("аэропорт", "ru"), ("حمام سباحة", "ar"), ("수영장", "ko"), ("สระว่ายน้ำ", "th"),
        ("プール", "ja"), ("", "en"), ("A380", "en"),
    ],
)  # fmt: skip
def test_languages_are_told(text, language):
    assert detect(text) == language


def test_letters_decide_where_no_word_is_known():
    assert detect("Straßenbeleuchtungsanlage") == "de"
    assert detect("przedsiębiorstwo") == "pl"


def test_a_word_that_is_still_being_typed_is_english_where_it_can_be():
    assert [detect("storage"[:size]) for size in range(2, 8)] == ["en"] * 6


def test_compounds_tell_their_language():
    assert detect("Zwergkaninchengehege am Waldrand") == "de"
