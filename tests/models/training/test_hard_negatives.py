import numpy as np
import pytest
import torch
from rs_text_search_plugin.models.layers.losses import MASKED_LOGIT, info_nce
from rs_text_search_plugin.models.training.hard_negatives import HardNegatives


@pytest.fixture
def exclusive_groups():
    return HardNegatives(["red roofs beside a road", "red roofs", "white roofs", "blue sea"])


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
def test_one_thing_is_denied(exclusive_groups, text, excluded):
    rng = np.random.default_rng(0)
    found = {exclusive_groups.negative(text, rng) for _ in range(200)}
    assert excluded <= found
    assert text.lower() not in found


def test_ways_to_say_the_same_do_not_exclude_one_another(exclusive_groups):
    rng = np.random.default_rng(0)
    found = {exclusive_groups.negative("gray cars", rng) for _ in range(200)}
    assert "grey cars" not in found


def test_parts_of_words_are_left_alone(exclusive_groups):
    assert exclusive_groups.negative("a bonefield of twofold wonders", np.random.default_rng(0)) == ""


def test_what_texts_say_of_a_thing_is_likelier(exclusive_groups):
    rng = np.random.default_rng(0)
    found = [exclusive_groups.negative("white roofs", rng) for _ in range(400)]
    assert found.count("red roofs") > 4 * found.count("blue roofs")


def test_a_wrong_text_is_one_more_to_choose_from():
    torch.manual_seed(0)
    images, texts = torch.nn.functional.normalize(torch.randn(2, 3, 8), dim=2)
    nothing = torch.zeros(3, 3, dtype=torch.bool)
    plain = info_nce(images, texts, 10.0, nothing)
    never = info_nce(images, texts, 10.0, nothing, torch.full((3,), MASKED_LOGIT))
    torch.testing.assert_close(never, plain)
    wrong = torch.tensor([0.5, MASKED_LOGIT, 0.1])
    logits = 10.0 * images @ texts.T
    right = logits.diagonal()
    asked = torch.cat([logits, 10.0 * wrong[:, None]], 1)
    expected = ((asked.logsumexp(1) - right).mean() + (logits.T.logsumexp(1) - right).mean()) / 2
    torch.testing.assert_close(info_nce(images, texts, 10.0, nothing, wrong), expected)
