"""Vocabulary, tags and the sentence."""

import numpy as np
import pytest

from rs_text_search_plugin.contracts.errors import IndexMismatch
from rs_text_search_plugin.engine.search.describe import (
    SIMILAR_TILES,
    describe,
    discernible,
    informative,
    listed,
    sentence,
)
from rs_text_search_plugin.engine.search.language import cache
from rs_text_search_plugin.engine.search.language.dictionary import tag_in
from rs_text_search_plugin.engine.search.query import embedding
from rs_text_search_plugin.engine.search.vocabulary import Word, words
from tests.engine.fakes import ColourEncoder
from tests.engine.synthetic import SyntheticIndex, checkerless, unit

COLOURS = ("red", "green", "blue", "yellow", "white")


@pytest.fixture(autouse=True)
def colour_words(monkeypatch, tmp_path):
    """A vocabulary of colours, which the fake encoder knows, and a cache folder of our own."""
    entries = tuple(
        Word(name, "object", f"{name} things", (), 1.0 if name == "yellow" else np.inf) for name in COLOURS
    )
    for module in ("describe.vocabulary", "query.embedding"):
        monkeypatch.setattr(f"rs_text_search_plugin.engine.search.{module}.words", lambda: entries)
    monkeypatch.setattr(cache, "_known", {})
    monkeypatch.setenv("RS_TEXT_SEARCH_CACHE", str(tmp_path))


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


@pytest.mark.parametrize(
    ("language", "label"),
    [
        ("de", "Schwimmbad"),
        ("pt_BR", "piscina"),
        ("zh_CN", "游泳池"),
        ("fi", "swimming pool"),
        ("en", "swimming pool"),
    ],
)
def test_tags_have_labels_in_the_language_of_the_panel(language, label):
    assert tag_in(language, "swimming pool") == label


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
    assert len(discernible(index, ColourEncoder(size=256), 256)) == 5
    assert len(discernible(index, encoder, 256)) == 4  # 256 px at 0.5 m shrink to 16: an 8 m pixel
    index.meta.gsd_m = None
    assert len(discernible(index, encoder, 256)) == 5


def test_another_model_is_refused(index):
    with pytest.raises(IndexMismatch):
        describe(index, 7, ColourEncoder(name="other"))


def test_word_vectors_come_from_the_cache_the_second_time_and_a_damaged_one_is_made_again(
    monkeypatch, tmp_path
):
    first = embedding.vocabulary_vectors(ColourEncoder())
    (file,) = (tmp_path / "vocabulary").iterdir()
    monkeypatch.setattr(cache, "_known", {})
    with monkeypatch.context() as sealed:
        sealed.setattr(embedding, "_embed_vocabulary", None)
        assert np.array_equal(embedding.vocabulary_vectors(ColourEncoder()), first)
    file.write_bytes(b"cut short")
    monkeypatch.setattr(cache, "_known", {})
    assert np.array_equal(embedding.vocabulary_vectors(ColourEncoder()), first)


WORDS = [
    Word(name, "object", name, (), np.inf) for name in ("boats", "a harbour", "the sea", "a car park", "cows")
]


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        ([95], "Boats."),
        ([95, 90], "Boats and a harbour."),
        ([95, 90, 85, 82], "Boats and a harbour; also the sea and a car park."),
        ([95, 60], "Boats; perhaps also a harbour."),
        ([70, 60, 55], "Probably boats or a harbour, but I am not sure."),
        ([], "I cannot tell what this is."),
    ],
)
def test_sentences(scores, text):
    assert sentence(WORDS[: len(scores)], np.array(scores, np.float32)) == text


def told(scores, texts, tile, tiles=None, words=None):
    tiles = np.zeros((0, len(tile)), np.float32) if tiles is None else tiles
    return informative(
        words or WORDS,
        np.array(scores, np.float32),
        np.asarray(texts, np.float32),
        unit(np.array(tile)),
        tiles,
    )


APART = np.eye(5)


def test_only_possible_words_are_told_and_at_most_four():
    assert told([99, 98, 97, 96, 95], APART, np.ones(5)) == [0, 1, 2, 3]
    assert told([99, 60, 49, 20, 10], APART, np.ones(5)) == [0, 1]
    assert told([49, 40, 30, 20, 10], APART, np.ones(5)) == []


def test_a_word_must_add_to_those_before_it():
    near = unit(np.array([[1.0, 0, 0], [0.9, 0.4, 0], [0.9, 0, 0.4], [0.9, 0.4, 0.1], [1, 0, 0]]))
    tile = [0.8, 0.6, 0.0]  # the first word and something that only the second has, too
    assert told([99, 98, 97, 96, 95], near, tile) == [0, 1]


def test_a_word_must_add_more_than_to_tiles_of_the_same_kind():
    rng = np.random.default_rng(0)
    usual = unit(
        np.column_stack(
            [
                np.ones(3 * SIMILAR_TILES),
                rng.normal(0.5, 0.05, 3 * SIMILAR_TILES),
                np.zeros((3 * SIMILAR_TILES, 3)),
            ]
        )
    )
    assert told([99, 98, 10, 10, 10], APART, [1, 0.4, 0, 0, 0], usual) == [0]
    assert told([99, 98, 10, 10, 10], APART, [1, 0.9, 0, 0, 0], usual) == [0, 1]


def test_a_thing_already_named_is_not_named_again():
    names = ("cars", "car park", "crowded with cars", "trees", "shed")
    words = [Word(name, "object", name, (), np.inf) for name in names]
    assert told([99, 98, 92, 85, 10], APART, np.ones(5), words=words) == [0, 3]


def test_lists_read_as_people_write_them():
    assert listed(["a"], "and") == "a"
    assert listed(["a", "b", "c"], "or") == "a, b or c"
