import math

import pytest
import torch
from rs_text_search_plugin.models.layers.losses import info_nce, triplet
from rs_text_search_plugin.models.layers.minilm import SPECIAL
from rs_text_search_plugin.models.systems.base import GRID_CELLS, Batch, Maps, TrainingSetInfo
from rs_text_search_plugin.models.systems.mgrm_el import (
    EntityClassifier,
    MaskedEncoder,
    MgrmEl,
    MgrmElSettings,
    Relations,
    spread,
)
from torch import nn
from torch.nn import functional as fn

TEXTS = ["white tanks", "white tanks .", "a red roof", "two planes near a red roof"]
VOCABULARY = [*SPECIAL, *["white", "tanks", "a", "red", "roof", "two", "planes", "near", "."]]
SMALL = {"width": 32, "heads": 2, "dim": 16, "dropout": 0.0}


def made(**settings):
    torch.manual_seed(0)
    return MgrmEl(VOCABULARY, SMALL | settings).eval()


def maps(count):
    return Maps(torch.randn(count, GRID_CELLS, 512), torch.randn(count, GRID_CELLS, 1024))


def batch():
    count = len(TEXTS)
    numbers = torch.arange(count)
    nothing_unclear = torch.zeros(count, count, dtype=torch.bool)
    return Batch(maps(count), None, TEXTS, numbers, numbers, numbers, nothing_unclear)


def encoder(masked=True, **settings):
    torch.manual_seed(0)
    return MaskedEncoder(MgrmElSettings(**SMALL | settings), masked).eval()


class Told(nn.Module):
    """A saliency that says what it was told."""

    def __init__(self, m):
        super().__init__()
        self.m = m

    def forward(self, tokens):
        return self.m.log().expand(tokens.shape[:2])


@pytest.mark.parametrize("kind", ["vectors", "sentence"])
@pytest.mark.parametrize("transformer", [True, False])
def test_padding_has_no_influence(kind, transformer):
    model = made(text=kind, transformer=transformer)
    with torch.inference_mode():
        alone, together = model.embed_texts(TEXTS[:1]), model.embed_texts(TEXTS)
    torch.testing.assert_close(alone[0], together[0], atol=1e-5, rtol=1e-4)
    assert (together[0] - together[2]).norm() > 0.01


def test_rounding_to_bfloat16_hardly_changes_a_vector():
    model, seen = made(), maps(4)
    rough = Maps(seen.middle.bfloat16(), seen.last.bfloat16())
    with torch.inference_mode():
        exact = model.embed_images(seen), model.embed_texts(TEXTS)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model.embed_images(rough), model.embed_texts(TEXTS)
    for one, other in zip(exact, rounded, strict=True):
        assert other.dtype == torch.float32
        assert (one * other).sum(1).min() > 0.999


@pytest.mark.parametrize("m", [0.0, 1e-12])
def test_a_token_of_no_saliency_has_no_influence(m):
    tower, tokens, real = encoder(), torch.randn(2, 5, 32), torch.ones(2, 5, dtype=torch.bool)
    other = tokens.clone()
    other[:, 3] = torch.randn(2, 32)
    for saliency, close in ((m, True), (0.5, False)):
        tower.saliency = Told(torch.tensor([1.0, 0.5, 0.9, saliency, 0.2]))
        with torch.inference_mode():
            assert torch.allclose(tower(tokens, real)[0], tower(other, real)[0], atol=1e-5) is close


def test_a_token_counts_as_much_as_two_of_half_its_saliency():
    tower, tokens = encoder(), torch.randn(2, 3, 32)
    with torch.inference_mode():
        tower.saliency = Told(torch.tensor([1.0, 0.3, 0.8]))
        one = tower(tokens, torch.ones(2, 3, dtype=torch.bool))[0]
        tower.saliency = Told(torch.tensor([1.0, 0.3, 0.4, 0.4]))
        two = tower(tokens[:, [0, 1, 2, 2]], torch.ones(2, 4, dtype=torch.bool))[0]
    torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)


def test_attention_is_weighed_by_saliency():
    torch.manual_seed(0)
    layer, x, m = Relations(8, 1, 0.0), torch.randn(1, 3, 8), torch.tensor([[0.9, 0.1, 0.5]])
    q, k, v = layer.qkv(layer.norm1(x)).chunk(3, -1)
    share = m[:, None] * (q @ k.transpose(1, 2) / 8**0.5).exp()
    y = x + layer.out(share / share.sum(-1, keepdim=True) @ v)
    torch.testing.assert_close(layer(x, m.log()), y + layer.mlp(layer.norm2(y)))


def test_without_transformer_a_vector_is_the_mean_weighed_by_saliency():
    tower, tokens = encoder(transformer=False), torch.randn(2, 4, 32)
    with torch.inference_mode():
        vectors, log_m = tower(tokens, torch.ones(2, 4, dtype=torch.bool))
        m = log_m.exp().unsqueeze(-1)
        mean = (m * tower.norm(tokens)).sum(1) / m.sum(1)
        torch.testing.assert_close(vectors, fn.normalize(tower.out(mean), dim=1))
    assert m.std() > 0.01
    assert m.max() <= 1


def test_without_mask_every_token_counts_the_same():
    plain, equal, tokens = encoder(masked=False), encoder(), torch.randn(2, 4, 32)
    equal.saliency = Told(torch.full((4,), 0.2))
    equal.load_state_dict(plain.state_dict())
    real = torch.tensor([[True] * 4, [True] * 3 + [False]])
    with torch.inference_mode():
        vectors, log_m = plain(tokens, real)
        torch.testing.assert_close(vectors, equal(tokens, real)[0], atol=1e-5, rtol=1e-4)
    assert log_m.exp().tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]


@pytest.mark.parametrize("switch", ["visual_mask", "textual_mask"])
def test_each_mask_is_switched_off_alone(switch):
    model = made(**{switch: False})
    off, on = (model.visual, model.textual) if switch == "visual_mask" else (model.textual, model.visual)
    assert off.saliency is None
    assert on.saliency is not None


def test_saliency_finds_the_one_region_that_tells_what_is_shown():
    tower = encoder(transformer=False)  # attention could find it too: here only the mask can
    kinds, mark, answer = torch.randn(4, 32), torch.randn(32), nn.Linear(16, 4)
    optimiser = torch.optim.Adam([*tower.parameters(), *answer.parameters()], 1e-2)
    for _ in range(100):
        tokens, kind, _ = planted(64, kinds, mark)
        vectors, _ = tower(tokens, torch.ones(64, 9, dtype=torch.bool))
        loss = fn.cross_entropy(8 * answer(vectors), kind)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    tokens, _, place = planted(200, kinds, mark)
    _, log_m = tower(tokens, torch.ones(200, 9, dtype=torch.bool))
    assert (log_m.argmax(1) == place).float().mean() > 0.9
    others = log_m.exp().scatter(1, place[:, None], 0).sum(1) / 8
    assert (log_m.exp().gather(1, place[:, None])[:, 0] - others).mean() > 0.3


def planted(count, kinds, mark):
    """Nine regions: one shows a kind and bears a mark, the others show kinds at random and bear none."""
    kind, place = torch.randint(len(kinds), (count,)), torch.randint(9, (count,))
    shown = torch.randint(len(kinds), (count, 9)).scatter(1, place[:, None], kind[:, None])
    tokens = kinds[shown] + 0.3 * torch.randn(count, 9, 32)
    tokens[torch.arange(count), place] += mark
    return tokens, kind, place


def test_sparsity_is_the_mean_saliency_over_the_largest():
    log_m = torch.tensor([[0.8, 0.4, 0.0], [0.2, 0.2, 0.2]]).log()
    assert spread(log_m).item() == pytest.approx((1.2 / 0.8 / 2 + 1) / 2)
    torch.testing.assert_close(spread(log_m), spread(log_m - 3))


def classifier(of, sampled=0, scale=20.0):
    torch.manual_seed(0)
    return EntityClassifier(torch.tensor(of), MgrmElSettings(dim=8, sampled=sampled, entity_scale=scale))


def test_entity_loss_is_cross_entropy_over_cosines_with_unit_weights():
    judge = classifier([0, 1, 1, 2, 3, 4])
    vectors, numbers = fn.normalize(torch.randn(3, 8), dim=1), torch.tensor([2, 5, 1])
    total = 0.0
    for vector, entity in zip(vectors, (1, 4, 1), strict=True):
        scores = [20 * float(vector @ weight / weight.norm()) for weight in judge.weight.detach()]
        total -= scores[entity] - math.log(sum(map(math.exp, scores)))
    assert judge(vectors, numbers).item() == pytest.approx(total / 3, rel=1e-4)


def test_a_sample_of_entities_gives_the_whole_sum_on_average():
    whole, some = classifier(range(40), scale=2.0), classifier(range(40), sampled=8, scale=2.0)
    vector, number = fn.normalize(torch.randn(1, 8), dim=1), torch.tensor([7])
    with torch.inference_mode():
        sums = torch.stack([some(vector, number).exp() for _ in range(1000)])  # over e to the right score
        assert sums.std() > 0
        assert sums.mean().item() == pytest.approx(whole(vector, number).exp().item(), rel=0.05)


def test_captions_that_say_the_same_share_an_entity_unless_told_otherwise():
    for merge, expected in ((True, [0, 0, 1, 2]), (False, [0, 1, 2, 3])):
        model = made(merge=merge)
        model.prepare(TrainingSetInfo(4, TEXTS, ["one"]))
        assert model.train_heads["text_entity"].of.tolist() == expected
        assert model.train_heads["image_entity"].of.tolist() == [0, 1, 2, 3]


def test_losses_are_the_match_and_an_entity_loss_for_each_modality():
    model, lot = made(entity_weight=0.5), batch()
    model.prepare(TrainingSetInfo(6, TEXTS, ["one"]))
    found = model.losses(lot)
    images, texts = model.embed_images(lot.maps), model.embed_texts(lot.texts)
    assert found.keys() == {"match", "image_entity", "text_entity"}
    torch.testing.assert_close(found["match"], triplet(images, texts, 0.2, lot.ignore_mask))
    alone = model.train_heads["image_entity"](images, lot.images)
    torch.testing.assert_close(found["image_entity"], 0.5 * alone)
    alone = model.train_heads["text_entity"](texts, lot.sentences)
    torch.testing.assert_close(found["text_entity"], 0.5 * alone)


@pytest.mark.parametrize("gone", ["image_entity", "text_entity"])
def test_an_entity_loss_that_is_switched_off_is_gone(gone):
    switch = {"image_entity": "image_entities", "text_entity": "text_entities"}[gone]
    model = made(**{switch: False}, sparsity=0.1, loss="info_nce")
    model.prepare(TrainingSetInfo(6, TEXTS, ["one"]))
    found = model.losses(lot := batch())
    assert found.keys() == {"match", "image_entity", "text_entity", "sparsity"} - {gone}
    expected = info_nce(model.embed_images(lot.maps), model.embed_texts(lot.texts), 1 / 0.07, lot.ignore_mask)
    torch.testing.assert_close(found["match"], expected)


@pytest.mark.parametrize(
    ("loss", "taught"),
    [
        ("image_entity", {"regions", "visual", "train_heads.image_entity"}),
        ("text_entity", {"word_encoder", "phrase_encoder", "textual", "train_heads.text_entity"}),
    ],
)
def test_an_entity_loss_teaches_its_own_modality_only(loss, taught):
    model = made()
    model.prepare(TrainingSetInfo(6, TEXTS, ["one"]))
    model.losses(batch())[loss].backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    found = {part for part in taught if any(name.startswith(f"{part}.") for name in moved)}
    assert found == taught
    assert all(name.startswith(tuple(taught)) for name in moved)


def test_everything_learns():
    model = made(loss="info_nce", sparsity=0.1).train()
    model.prepare(TrainingSetInfo(6, TEXTS, ["one"]))
    sum(model.losses(batch()).values()).backward()
    silent = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert {name for name in silent if not name.startswith("backbone.")} == set()


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="triplet"):
        made(loss="hinge")
