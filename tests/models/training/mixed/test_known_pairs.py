import numpy as np
import pytest
import torch
from rs_text_search_plugin.models.layers.losses import MASKED_LOGIT
from rs_text_search_plugin.models.training.mixed.examples import Example, Text
from rs_text_search_plugin.models.training.mixed.known_pairs import (
    image_facts,
    name_losses,
    negatives,
    pair_loss,
    text_facts,
)
from rs_text_search_plugin.models.training.mixed.things import ABSENT, PRESENT, UNKNOWN


def example(things, scenes, captions=(), captioned=True):
    known = [np.array(states, np.int8) for states in (things, scenes)]
    return Example(np.zeros((2, 2, 3), np.uint8), (), frozenset(captions), *known, captioned)


SCENE = example([PRESENT, ABSENT], [PRESENT, ABSENT], captions=[7])
CHIP = example([ABSENT, UNKNOWN], [UNKNOWN, ABSENT], captioned=False)


@pytest.mark.parametrize(
    ("text", "of_scene", "of_chip"),
    [
        (Text("its own caption", number=7), False, True),
        (Text("another caption", number=8), True, True),
        (Text("a caption about thing 0", number=8, about=(0,)), True, True),
        (Text("a caption about thing 1", number=8, about=(1,)), True, False),
        (Text("thing 0", about=(0,), of_things=True), False, True),
        (Text("thing 1", about=(1,), of_things=True), True, False),
        (Text("both", about=(0, 1), of_things=True), True, True),
        (Text("scene 0", number=9, scene=0), False, False),
        (Text("scene 1", number=9, scene=1), True, True),
    ],
)
def test_a_pair_is_negative_only_where_that_is_known(text, of_scene, of_chip):
    found = negatives(image_facts([SCENE, CHIP]), text_facts([text], 2))
    assert found[:, 0].tolist() == [of_scene, of_chip]


def test_the_pair_loss_is_info_nce_where_all_others_are_negatives():
    torch.manual_seed(0)
    logits, owner = torch.randn(4, 4), torch.arange(4)
    negative, never = ~torch.eye(4, dtype=torch.bool), torch.full((4,), MASKED_LOGIT)
    both = [torch.nn.functional.cross_entropy(side, owner) for side in (logits, logits.T)]
    torch.testing.assert_close(pair_loss(logits, negative, owner, never), sum(both) / 2)


def test_several_texts_of_an_image_do_not_stand_against_each_other():
    logits = torch.tensor([[2.0, -3.0]])
    nothing = torch.zeros(1, 2, dtype=torch.bool)
    loss = pair_loss(logits, nothing, torch.tensor([0, 0]), torch.full((2,), MASKED_LOGIT))
    assert float(loss) == pytest.approx(0.0)


def test_a_wrong_text_stands_against_its_own():
    logits, owner = torch.tensor([[2.0]]), torch.tensor([0])
    nothing = torch.zeros(1, 1, dtype=torch.bool)
    loss = pair_loss(logits, nothing, owner, torch.tensor([2.0]))
    assert float(loss) == pytest.approx(np.log(2) / 2)


def losses(similarity, known):
    one = torch.tensor(1.0)
    return name_losses(torch.tensor(similarity), torch.tensor(known), 20 * one, 0.35 * one, 45 * one)


def test_names_that_fit_cost_less_than_names_that_do_not():
    known = [[PRESENT, ABSENT], [ABSENT, PRESENT], [UNKNOWN, UNKNOWN]]
    good, bad = (
        losses([[0.9, 0.0], [0.0, 0.9], [0.5, 0.5]], known),
        losses([[0.0, 0.9], [0.9, 0.0], [0.5, 0.5]], known),
    )
    for name in ("present", "ranks", "picks"):
        assert getattr(good, name) < 0.01 < getattr(bad, name)


def test_what_is_unknown_plays_no_part():
    known = [[PRESENT, ABSENT], [ABSENT, PRESENT], [UNKNOWN, UNKNOWN]]
    low, high = (losses([[0.5, 0.1], [0.2, 0.6], [x, x]], known) for x in (-1.0, 1.0))
    for name in ("present", "ranks", "picks"):
        assert getattr(low, name) == getattr(high, name)
