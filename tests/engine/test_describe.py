"""Vocabulary, tags and the sentence."""

import numpy as np
import pytest

from rs_text_search_plugin.engine import word_vectors
from rs_text_search_plugin.engine.describe import describe, listed, sentence, visible
from rs_text_search_plugin.engine.errors import IndexMismatch
from rs_text_search_plugin.engine.vocabulary import Word, words

from .fakes import ColourEncoder
from .synthetic import SyntheticIndex, checkerless, unit

COLOURS = ("red", "green", "blue", "yellow", "white")


@pytest.fixture(autouse=True)
def colour_words(monkeypatch, tmp_path):
    """A vocabulary of colours, which the fake encoder knows, and a cache folder of our own."""
    entries = tuple(
        Word(name, "object", f"{name} things", (), 1.0 if name == "yellow" else np.inf) for name in COLOURS
    )
    for module in ("describe.vocabulary", "word_vectors", "query"):
        monkeypatch.setattr(f"rs_text_search_plugin.engine.{module}.words", lambda: entries)
    monkeypatch.setattr("rs_text_search_plugin.engine.query.CENTRE_EVERY", 1)
    monkeypatch.setattr(word_vectors, "_known", {})
    monkeypatch.setattr("rs_text_search_plugin.engine.query._centres", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def index():
    """300 tiles: green with 3 red ones (7, 8, 200) and two that are half white (20, 21)."""
    encoder = ColourEncoder()
    vectors = np.repeat(encoder.texts(["green"]), 300, axis=0)
    vectors[[7, 8, 200]] = encoder.texts(["red"])
    vectors[[20, 21]] = encoder.texts(["green white"])
    vectors += np.random.default_rng(0).normal(0, 0.02, vectors.shape)
    return SyntheticIndex(unit(vectors), checkerless(15, 20), fingerprint=encoder.fingerprint)


def test_the_shipped_vocabulary_is_whole(monkeypatch):
    monkeypatch.undo()
    entries = words()
    assert len(entries) >= 300
    assert {word.group for word in entries} == {"land cover", "land use", "object", "attribute"}
    assert len({word.name for word in entries}) == len(entries)
    for word in entries:
        assert word.needs > 0
        assert word.name not in word.also
        assert all(text == text.strip() and text for text in (word.name, word.say, *word.also))


def test_a_tile_is_described_by_what_it_shows(index):
    found = describe(index, 7, ColourEncoder())
    assert found.tags[0].name == "red"
    assert found.tags[0].score > 80
    assert found.sure
    assert found.sentence == "Red things."
    assert found.corners == tuple(map(tuple, index.corners(np.array([7]))[0]))
    assert [tag.score for tag in found.tags] == sorted((tag.score for tag in found.tags), reverse=True)


def test_what_cannot_be_told_is_said(index):
    found = describe(index, 100, ColourEncoder())
    assert not found.sure
    assert found.sentence == "I cannot tell what this is."


def test_coarse_pixels_hide_small_things(index):
    encoder = ColourEncoder()
    assert len(visible(index, ColourEncoder(size=256))) == 5
    assert len(visible(index, encoder)) == 4  # 256 px at 0.5 m shrink to 16: an 8 m pixel
    index.meta.gsd_m = None
    assert len(visible(index, encoder)) == 5


def test_another_model_is_refused(index):
    with pytest.raises(IndexMismatch):
        describe(index, 7, ColourEncoder(name="other"))


def test_word_vectors_come_from_the_cache_the_second_time_and_a_damaged_one_is_made_again(
    monkeypatch, tmp_path
):
    first = word_vectors.vectors(ColourEncoder())
    (file,) = (tmp_path / "rs-text-search").iterdir()
    monkeypatch.setattr(word_vectors, "_known", {})
    with monkeypatch.context() as sealed:
        sealed.setattr(word_vectors, "_embed", None)
        assert np.array_equal(word_vectors.vectors(ColourEncoder()), first)
    file.write_bytes(b"cut short")
    monkeypatch.setattr(word_vectors, "_known", {})
    assert np.array_equal(word_vectors.vectors(ColourEncoder()), first)


WORDS = [
    Word(name, "object", name, (), np.inf) for name in ("boats", "a harbour", "the sea", "a car park", "cows")
]


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        ([95, 40, 30, 20, 10], "Boats."),
        ([95, 90, 30, 20, 10], "Boats and a harbour."),
        ([95, 90, 85, 82, 81], "Boats and a harbour; also the sea and a car park."),
        ([95, 60, 30, 20, 10], "Boats; perhaps also a harbour."),
        ([70, 60, 30, 20, 10], "Probably boats or a harbour, but I am not sure."),
        ([40, 30, 20, 10, 0], "I cannot tell what this is."),
    ],
)
def test_sentences(scores, text):
    assert sentence(WORDS, np.array(scores, np.float32), np.eye(5, dtype=np.float32)) == text


def test_two_words_for_one_thing_are_named_once():
    same = np.ones((5, 2), np.float32) / np.sqrt(2)
    assert sentence(WORDS, np.full(5, 90, np.float32), same) == "Boats."


def test_a_thing_already_named_is_not_named_again():
    names = ("cars", "car park", "crowded with cars", "trees", "shed")
    words = [Word(name, "object", name, (), np.inf) for name in names]
    scores = np.array([99, 98, 92, 85, 10], np.float32)
    assert sentence(words, scores, np.eye(5, dtype=np.float32)) == "Cars and trees."


def test_lists_read_as_people_write_them():
    assert listed(["a"], "and") == "a"
    assert listed(["a", "b", "c"], "or") == "a, b or c"
