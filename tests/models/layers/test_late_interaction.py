import pytest
import torch
from rs_text_search_plugin.models.layers.late_interaction import AlignedText, Alignment
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
    tokens, text = align.encode_tokens(torch.randn(3, 5, 16)), align.encode_texts(*some(2, 4))
    by_words, by_whole = align.all_pairs(tokens, text)
    scales = align.scales.exp()
    for i in range(3):
        for j in range(2):
            best = [max(float(w @ p) for p in tokens[i, 1:]) for w in text.words[j]]
            expected = scales[0] * sum(s * b for s, b in zip(text.shares[j], best, strict=True))
            torch.testing.assert_close(by_words[i, j], expected)
            torch.testing.assert_close(by_whole[i, j], scales[1] * (tokens[i, 0] @ text.whole[j]))


@torch.no_grad()
def test_pair_by_pair_says_what_all_at_once_says(align, monkeypatch):
    monkeypatch.setattr("rs_text_search_plugin.models.layers.late_interaction.TEXTS_PER_BLOCK", 2)
    tokens, text = align.encode_tokens(torch.randn(5, 4, 16)), align.encode_texts(*some(5, 6))
    torch.testing.assert_close(align.pairs(tokens, text), sum(align.all_pairs(tokens, text)).diagonal())


@torch.no_grad()
def test_what_is_masked_counts_nothing(align):
    states, mask = some(2, 4)
    disturbed = states.clone()
    disturbed[0, -1] += 5
    tokens = align.encode_tokens(torch.randn(3, 5, 16))
    for one, two in zip(
        align.all_pairs(tokens, align.encode_texts(states, mask)),
        align.all_pairs(tokens, align.encode_texts(disturbed, mask)),
        strict=True,
    ):
        torch.testing.assert_close(one, two)
    assert align.encode_texts(states, mask).shares[0, -1] == 0


def test_all_vectors_are_of_length_one(align):
    text = align.encode_texts(*some(2, 4))
    assert isinstance(text, AlignedText)
    for vectors in (text.words, text.whole, align.encode_tokens(torch.randn(3, 5, 16))):
        assert torch.allclose(vectors.norm(dim=-1), torch.ones(vectors.shape[:-1]))
    assert torch.allclose(text.shares.sum(1), torch.ones(2))
    assert not torch.equal(fn.normalize(text.whole, dim=1)[0], text.whole[1])
