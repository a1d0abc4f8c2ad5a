"""Texts in the frames they are embedded in."""

import numpy as np
import pytest

from rs_text_search_plugin.engine.search.query.prompts import framed, is_sentence, phrases, prompts, tidy
from tests.engine.fakes import ColourEncoder


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


def test_phrases_are_unit_length_and_independent_of_their_company():
    encoder = ColourEncoder()
    alone, together = phrases(encoder, ["red"])[0], phrases(encoder, ["blue", "red", "a red roof"])
    assert np.allclose(together[1], alone, atol=1e-6)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert float(together[1] @ together[2]) > 0.9 > float(together[0] @ together[1])
