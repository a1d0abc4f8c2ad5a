import numpy as np
import pytest
import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.evaluation import hub_centres as centres
from rs_text_search_plugin.models.evaluation.hub_correction import BETA, LESS, Hubs, hubness
from rs_text_search_plugin.models.inference import encoder
from torch.nn import functional as fn


@pytest.fixture
def made():
    """Pictures and texts around a common point, some nearer to it than others, and what is found in them."""
    torch.manual_seed(0)
    middle = torch.randn(32)
    pictures, texts = (
        fn.normalize(middle * torch.rand(300, 1) + torch.randn(300, 32), dim=1) for _ in range(2)
    )
    return pictures, texts, centres.found(pictures.numpy(), texts.numpy(), centres=40)


def test_what_is_due_to_hubs_is_taken_off(made):
    pictures, texts, found = made
    b = hubness(pictures, found.texts, found.text_shares)
    c = hubness(texts, found.images, found.image_shares)
    expected = pictures @ texts.T - LESS[0] * b[:, None] - LESS[1] * c[None]
    torch.testing.assert_close(found.likeness(pictures, texts), expected)


def test_what_is_near_everything_no_longer_comes_first_everywhere(made):
    pictures, texts, found = made

    def most(likeness):
        """How many columns have the same row among their first ten, at most."""
        return int(torch.bincount(likeness.topk(10, dim=0).indices.flatten()).max())

    plain, corrected = pictures @ texts.T, found.likeness(pictures, texts)
    assert most(corrected) < 0.9 * most(plain)
    assert most(corrected.T) < 0.7 * most(plain.T)


def test_no_other_query_plays_a_part(made):
    pictures, texts, found = made
    whole = found.likeness(pictures, texts)
    torch.testing.assert_close(found.likeness(pictures[3:5], texts[7:8]), whole[3:5, 7:8])


def test_hubness_is_the_soft_maximum_it_says():
    bank, shares = fn.normalize(torch.randn(2, 8), dim=1), torch.tensor([0.25, 0.75])
    vector = fn.normalize(torch.randn(1, 8), dim=1)
    expected = (shares * (BETA * (vector @ bank.T)).exp()).sum().log() / BETA
    torch.testing.assert_close(hubness(vector, bank, shares), expected[None])


def test_centres_carry_the_share_of_what_is_near_them(made):
    _, _, found = made
    assert found.text_shares.sum() == pytest.approx(1)
    assert Hubs(32, 40).state_dict().keys() == found.state_dict().keys()


def test_a_file_keeps_its_hubs(made, tmp_path):
    system = checkpoint.build("compact", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "roof"], {"text_layers": 1})
    draw = np.random.default_rng(0).normal(size=(2, 60, system.dim)).astype(np.float32)
    vectors = draw / np.linalg.norm(draw, axis=2, keepdims=True)
    system.hubs = centres.found(*vectors, centres=8)
    checkpoint.save(system, checkpoint.name_of(system), tmp_path / "m.safetensors")
    again = checkpoint.load(tmp_path / "m.safetensors")
    torch.testing.assert_close(again.hubs.texts, system.hubs.texts, atol=2e-3, rtol=0)
    towers = encoder.TorchEncoder(
        "m",
        encoder.Seeing(again, torch.device("cpu")),
        "",
        dim=system.dim,
        size=192,
        device=torch.device("cpu"),
    )
    towers.hubs = again.hubs
    found = encoder.likeness(towers, *vectors)
    assert found.shape == (60, 60)
    assert np.abs(found - vectors[0] @ vectors[1].T).max() > 0.01
