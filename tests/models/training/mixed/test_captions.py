import numpy as np
import pytest
from PIL import Image
from rs_text_search_plugin.models.training.mixed.captions import caption
from rs_text_search_plugin.models.training.mixed.things import ABSENT, PRESENT, things
from rs_text_search_plugin.models.training.mixed.windows import View


def said(present, count=300):
    table = things()
    known = np.full(len(table.all), ABSENT, np.int8)
    counts = {table.number[name]: number for name, number in present.items() if number}
    known[[table.number[name] for name in present]] = PRESENT
    view, rng = View(Image.new("RGB", (1, 1)), known, counts), np.random.default_rng(0)
    return [caption(view, table, rng, range(len(table.all))) for _ in range(count)]


def test_plain_names_are_among_the_captions():
    texts = {text for text, _ in said({"airplane": 3})}
    assert {"airplane", "airplanes"} <= texts


@pytest.mark.parametrize(("number", "word"), [(1, "one"), (2, "two"), (5, "five"), (30, "many")])
def test_counts_are_said(number, word):
    assert any(word in text.split() for text, _ in said({"airplane": number}))


def test_no_number_is_said_that_is_not_known():
    words = {word for text, _ in said({"airplane": 0}) for word in text.split()}
    assert not words & {"one", "two", "three", "four", "five", "single"}


def test_two_things_may_be_said_together():
    table = things()
    both = {table.number["ship"], table.number["harbor"]}
    assert any(set(about) == both for _, about in said({"ship": 2, "harbor": 1}))


def test_nothing_is_said_of_what_is_absent():
    assert said({}, 3) == [("", ())] * 3
