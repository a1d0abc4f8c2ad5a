import pytest
import torch
from rs_text_search_plugin.models.layers.late_interaction import Alignment, Said
from torch.nn import functional as fn


@pytest.fixture
def align():
    torch.manual_seed(0)
    made = Alignment(inputs=24, width=16, dim=8, dropout=0.0).eval()
    torch.nn.init.normal_(made.share.weight)
    return made


def some(count, length, seed=0):
    """States and their mask, the first text one word shorter."""
    states = torch.randn(count, length, 24, generator=torch.Generator().manual_seed(seed))
    mask = torch.ones(count, length, dtype=torch.bool)
    mask[0, -1] = False
    return states, mask


@torch.no_grad()
def test_each_word_goes_to_the_place_that_fits_it_best(align):
    shown, said = align.show(torch.randn(3, 5, 16)), align.say(*some(2, 4))
    by_words, by_whole = align.all(shown, said)
    scales = align.scales.exp()
    for picture in range(3):
        for text in range(2):
            best = [max(float(w @ p) for p in shown[picture, 1:]) for w in said.words[text]]
            expected = scales[0] * sum(s * b for s, b in zip(said.shares[text], best, strict=True))
            torch.testing.assert_close(by_words[picture, text], expected)
            torch.testing.assert_close(
                by_whole[picture, text], scales[1] * (shown[picture, 0] @ said.whole[text])
            )


@torch.no_grad()
def test_pair_by_pair_says_what_all_at_once_says(align, monkeypatch):
    monkeypatch.setattr("rs_text_search_plugin.models.layers.late_interaction.SOME", 2)
    shown, said = align.show(torch.randn(5, 4, 16)), align.say(*some(5, 6))
    torch.testing.assert_close(align.pairs(shown, said), sum(align.all(shown, said)).diagonal())


@torch.no_grad()
def test_what_is_masked_counts_nothing(align):
    states, mask = some(2, 4)
    disturbed = states.clone()
    disturbed[0, -1] += 5
    shown = align.show(torch.randn(3, 5, 16))
    for one, two in zip(
        align.all(shown, align.say(states, mask)), align.all(shown, align.say(disturbed, mask)), strict=True
    ):
        torch.testing.assert_close(one, two)
    assert align.say(states, mask).shares[0, -1] == 0


def test_all_vectors_are_of_length_one(align):
    said = align.say(*some(2, 4))
    assert isinstance(said, Said)
    for vectors in (said.words, said.whole, align.show(torch.randn(3, 5, 16))):
        assert torch.allclose(vectors.norm(dim=-1), torch.ones(vectors.shape[:-1]))
    assert torch.allclose(said.shares.sum(1), torch.ones(2))
    assert not torch.equal(fn.normalize(said.whole, dim=1)[0], said.whole[1])
