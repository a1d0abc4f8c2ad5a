import pytest
import torch
from rs_text_search_plugin.models.layers.minilm import (
    MAX_TOKENS,
    SPECIAL,
    TextConfig,
    TextTower,
    WordPiece,
    basic_tokens,
)

VOCABULARY = [*SPECIAL, "storage", "tank", "##s", "cafe", "o", "##i", "##l", ",", "12"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Storage Tanks", ["storage", "tanks"]),
        ("Café, 12", ["cafe", ",", "12"]),
        ("a\tb\nc", ["a", "b", "c"]),
        ("x\u0000y", ["xy"]),
        ("湖泊", ["湖", "泊"]),
        ("", []),
    ],
)
def test_words_are_lower_case_without_accents_and_split_at_punctuation(text, found):
    assert list(basic_tokens(text)) == found


def test_the_longest_known_piece_is_taken_first():
    tokenizer = WordPiece(VOCABULARY)
    pieces = [tokenizer.vocabulary[number] for number in tokenizer.ids("storage tanks oil café")]
    assert pieces == ["[CLS]", "storage", "tank", "##s", "o", "##i", "##l", "cafe", "[SEP]"]


def test_a_word_with_an_unknown_letter_is_unknown_as_a_whole():
    tokenizer = WordPiece(VOCABULARY)
    assert [tokenizer.vocabulary[number] for number in tokenizer.ids("tankz")][1:-1] == ["[UNK]"]


def test_long_texts_are_cut_and_keep_their_closing_mark():
    ids = WordPiece(VOCABULARY).ids("tank " * 500)
    assert len(ids) == MAX_TOKENS
    assert ids[-1] == SPECIAL.index("[SEP]")


def test_padding_does_not_change_a_vector():
    torch.manual_seed(0)
    tower = TextTower(TextConfig(len(VOCABULARY), layers=2, width=48, heads=4)).eval()
    tokenizer = WordPiece(VOCABULARY)
    with torch.inference_mode():
        alone = tower(*tokenizer.batch(["tank"]))
        padded = tower(*tokenizer.batch(["tank", "storage tanks, storage tanks"]))
    torch.testing.assert_close(alone[0], padded[0], atol=1e-5, rtol=1e-5)
