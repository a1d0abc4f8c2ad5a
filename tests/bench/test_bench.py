"""The benches need data that is not here; what they are made of is checked on made-up rows."""

import re
from pathlib import Path

import numpy as np
import pytest
import tomllib
from rs_text_search_plugin.models.label_prompts import label_prompts
from rs_text_search_plugin.models.training.datasets import Row

from rs_text_search_plugin.engine.search.vocabulary import words
from tests.bench import pairs as pairing
from tests.bench.people import places, shown
from tests.bench.reliability import BINS, Tally, count, diagram
from tests.bench.words import SLIPS, other_number, slip
from tests.engine.fakes import ColourEncoder
from tests.engine.synthetic import SyntheticIndex, checkerless

BENCH = Path(pairing.__file__).parent


def rows(**captions):
    return [
        Row(f"{name}.webp", "val", name.rstrip("_0123456789"), (text,)) for name, text in captions.items()
    ]


def test_at_least_eighty_pairs_that_nothing_was_trained_on():
    table = tomllib.loads((BENCH / "pairs.toml").read_text("utf-8"))
    listed = [raw for group in table["pairs"].values() for raw in group]
    taught = {name for group in label_prompts().labels.values() for name in group}
    assert len(listed) >= 80
    for raw in listed:
        assert raw["a"] != raw["b"] and taught.isdisjoint({raw["a"], raw["b"]})  # noqa: PT018
        if "scene" in raw:
            assert set(raw["a_are"]).isdisjoint(raw["b_are"])
            assert min(len(raw["a_are"]), len(raw["b_are"])) >= pairing.LEAST
        else:
            patterns = [
                re.sub(r"<(\w+)>", lambda found: table["words"][found[1]], raw[key])
                for key in raw
                if key[1:] == "_if"
            ]
            assert [re.compile(pattern) for pattern in patterns]


def test_pictures_are_chosen_by_captions_or_by_name(monkeypatch):
    captions = {
        "pond_1": "two ponds",
        "pond_2": "a pond",
        "pond_3": "two ponds and a pond",
        "lake_4": "a pond",
    }
    table = {"one": r"\ba", "many": "", "some": ""}
    raw = {
        "kind": "count",
        "a": "two",
        "b": "one",
        "a_if": "two<some> ponds",
        "b_if": "<one> pond",
        "label": ["pond"],
    }
    pair = pairing._pair(raw, rows(**captions), table)
    assert (pair.shows_a, pair.shows_b) == ((0,), (1,))  # the third says both, the fourth is another scene
    raw = {"kind": "count", "a": "two", "b": "one", "scene": "pond", "a_are": [1], "b_are": [2, 3]}
    pair = pairing._pair(raw, rows(**captions), table)
    assert (pair.shows_a, pair.shows_b) == ((0,), (1, 2))


def test_a_pair_is_answered_by_preference_and_by_rank():
    encoder = ColourEncoder()
    index = SyntheticIndex(
        encoder.texts(["red", "red", "blue", "blue"]), checkerless(1, 4), fingerprint=encoder.fingerprint
    )
    right = pairing.answer(encoder, index, pairing.Pair("colour", "red", "blue", (0, 1), (2, 3)))
    wrong = pairing.answer(encoder, index, pairing.Pair("colour", "red", "blue", (2, 3), (0, 1)))
    assert (right.prefers, right.ranks, wrong.prefers, wrong.ranks) == (1, 1, 0, 0)
    mixed = pairing.answer(encoder, index, pairing.Pair("colour", "red", "blue", (0, 2), (1, 3)))
    assert (mixed.prefers, mixed.ranks) == (0.5, 0.5)  # by chance


def test_a_picture_may_show_what_its_captions_say():
    place = next(place for place in places() if "woods" in place.queries)
    yes, perhaps = shown(
        place, "rsicd", rows(forest_1="green", park_2="Dense trees stand here.", port_3="ships")
    )
    assert (yes.tolist(), perhaps.tolist()) == ([True, False, False], [False, True, False])


def test_the_tally_counts_what_is_right_absent_and_found():
    tally = Tally(*(np.zeros(BINS) for _ in range(3)))
    scores = np.array([[85, 20, 40], [95, 10, 55]], np.float32)
    yes = np.array([[True, False, False], [False, False, False]])
    perhaps = np.zeros_like(yes)
    count(tally, scores, yes, perhaps)
    assert (tally.right[8], tally.wrong[9], tally.wrong.sum()) == (1, 1, 5)
    assert (tally.absent, tally.silent, tally.present, tally.found) == (2, 1, 1, 1)
    assert diagram(tally).count("<rect") == 2  # the ground, and the one bin where something was right


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("lake", "lakes"),
        ("beaches", "beach"),
        ("factory", "factories"),
        ("factories", "factory"),
        ("grass", "grasses"),
    ],
)
def test_the_other_number(text, other):
    assert other_number(text) == other


@pytest.mark.parametrize("kind", SLIPS)
def test_a_slip_is_always_the_same_and_spares_first_letters(kind):
    slipped = slip("storage tanks", kind)
    assert slipped == slip("storage tanks", kind) != "storage tanks"
    assert [word[0] for word in slipped.split()] == ["s", "t"]
    assert slip("sea", kind) == "sea"


def test_every_scene_tag_is_in_the_vocabulary():
    table = tomllib.loads((BENCH / "scene_tags.toml").read_text("utf-8"))
    assert {tag for tags in table.values() for tag in tags} <= {word.name for word in words()}
