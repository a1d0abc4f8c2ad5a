import numpy as np
import pytest
import torch
from rs_text_search_plugin.models.layers.losses import NEVER, info_nce
from rs_text_search_plugin.models.training.hard_negatives import Contrasts


@pytest.fixture
def contrasts():
    return Contrasts(["red roofs beside a road", "red roofs", "white roofs", "blue sea"])


@pytest.mark.parametrize(
    ("text", "excluded"),
    [
        ("white roofs", {"red roofs", "blue roofs", "green roofs"}),
        ("two tanks", {"one tanks", "many tanks", "three tanks"}),
        ("a pond with trees", {"a pond without trees"}),
        ("houses on both sides of a river", {"houses on one side of a river"}),
        ("A Round tank", {"a square tank", "a rectangular tank", "a triangular tank"}),
    ],
)
def test_one_thing_is_denied(contrasts, text, excluded):
    rng = np.random.default_rng(0)
    found = {contrasts.wrong(text, rng) for _ in range(200)}
    assert excluded <= found
    assert text.lower() not in found


def test_ways_to_say_the_same_do_not_exclude_one_another(contrasts):
    rng = np.random.default_rng(0)
    found = {contrasts.wrong("gray cars", rng) for _ in range(200)}
    assert "grey cars" not in found


def test_parts_of_words_are_left_alone(contrasts):
    assert contrasts.wrong("a bonefield of twofold wonders", np.random.default_rng(0)) == ""


def test_what_texts_say_of_a_thing_is_likelier(contrasts):
    rng = np.random.default_rng(0)
    found = [contrasts.wrong("white roofs", rng) for _ in range(400)]
    assert found.count("red roofs") > 4 * found.count("blue roofs")


def test_a_wrong_text_is_one_more_to_choose_from():
    torch.manual_seed(0)
    images, texts = torch.nn.functional.normalize(torch.randn(2, 3, 8), dim=2)
    nothing = torch.zeros(3, 3, dtype=torch.bool)
    plain = info_nce(images, texts, 10.0, nothing)
    never = info_nce(images, texts, 10.0, nothing, torch.full((3,), NEVER))
    torch.testing.assert_close(never, plain)
    wrong = torch.tensor([0.5, NEVER, 0.1])
    logits = 10.0 * images @ texts.T
    right = logits.diagonal()
    asked = torch.cat([logits, 10.0 * wrong[:, None]], 1)
    expected = ((asked.logsumexp(1) - right).mean() + (logits.T.logsumexp(1) - right).mean()) / 2
    torch.testing.assert_close(info_nce(images, texts, 10.0, nothing, wrong), expected)
