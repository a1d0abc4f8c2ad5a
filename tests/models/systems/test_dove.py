import json
import math

import pytest
import torch
from rs_text_search_plugin.models.layers.minilm import SPECIAL
from rs_text_search_plugin.models.systems import base as system
from rs_text_search_plugin.models.systems.base import GRID_CELLS, Batch, Maps, TrainingSetInfo
from rs_text_search_plugin.models.systems.dove import Dove, Dtga, Gated, Guide, Offer
from torch import nn
from torch.nn import functional as fn

WORDS = ["many", "boats", "in", "a", "port", "dark", "trees", "two", "white", "tanks", "beside", "river"]
TEXTS = ["many boats in a port", "dark trees", "two white tanks beside a river"]
SMALL = {"width": 24, "heads": 4, "regions": 5}


@pytest.fixture(autouse=True)
def without_backbone(monkeypatch):
    """Nothing here looks at pixels, and random stages take longer to make than all else."""
    monkeypatch.setattr(system, "ResNet50V2", nn.Identity)


def made(seed=0, **settings):
    torch.manual_seed(seed)
    model = Dove([*SPECIAL, *WORDS], {**SMALL, **settings})
    model.prepare(TrainingSetInfo(3, TEXTS, ["port"]))
    return model.eval()


def maps(n=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    shape = (n, GRID_CELLS)
    return Maps(torch.randn(*shape, 512, generator=draw), torch.randn(*shape, 1024, generator=draw))


def batch(pictures, texts, ignore_mask=None):
    n = len(texts)
    number = torch.arange(n)
    nothing = torch.zeros(n, n, dtype=torch.bool)
    return Batch(
        pictures, None, texts, number, number, number, nothing if ignore_mask is None else ignore_mask
    )


def plain(linear):
    """A linear layer that passes on what it gets."""
    with torch.no_grad():
        linear.weight.copy_(torch.eye(len(linear.weight)))
        linear.bias.zero_()


@pytest.mark.parametrize("text", ["vectors", "sentence"])
def test_both_towers_end_in_unit_vectors_of_one_space(text):
    model = made(text=text)
    with torch.inference_mode():
        for found in (model.embed_images(maps()), model.embed_texts(TEXTS)):
            assert found.shape == (3, model.dim)
            torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    assert json.loads(json.dumps(model.settings)) == model.settings


def test_the_region_that_is_asked_for_answers():
    guide = Guide(2, heads=1)
    for linear in (guide.ask, guide.key):
        plain(linear)
    with torch.no_grad():
        guide.value.weight.copy_(torch.tensor([[0.0, 3.0], [5.0, 0.0]]))
        guide.value.bias.zero_()
    regions = guide.offer(torch.eye(2)[None])  # values (0, 5) and (3, 0)
    seen = torch.ones(1, 1, dtype=torch.bool)
    first, second = (guide(60 * torch.eye(2)[k].view(1, 1, 2), seen, regions) for k in (0, 1))
    torch.testing.assert_close(first, torch.tensor([[0.0, 5.0]]))
    torch.testing.assert_close(second, torch.tensor([[3.0, 0.0]]))
    both = guide(60 * torch.eye(2)[None], torch.ones(1, 2, dtype=torch.bool), regions)
    torch.testing.assert_close(both, (first + second) / 2)


def test_places_choose_among_regions_and_without_ifa_each_region_counts_alike():
    multi, regions = made().look(maps())
    shift = torch.randn(1, 1, SMALL["width"])
    moved = regions + torch.cat([shift, -shift, torch.zeros(1, SMALL["regions"] - 2, shift.shape[2])], 1)
    with torch.inference_mode():
        for ifa in (True, False):
            model = made(ifa=ifa)
            before, after = model._picture(multi, regions), model._picture(multi, moved)
            assert torch.allclose(before, after, atol=1e-5) is not ifa  # their mean is what it was


def test_a_region_gathers_the_places_of_its_kind():
    regions = made().regions
    plain_value = nn.Linear(1024, 24)
    with torch.no_grad():
        regions.kinds.zero_()
        regions.kinds[0, 0] = 500
        regions.key.weight.zero_()
        regions.key.weight[0, 0] = 1
    regions.value = plain_value
    places = torch.randn(1, GRID_CELLS, 1024)
    places[0, :, 0] = 0
    places[0, 7, 0] = 9
    with torch.inference_mode():
        found = regions(places)[0]
        torch.testing.assert_close(found[0], regions.norm(regions.kinds[0] + plain_value(places[0, 7])))
        torch.testing.assert_close(found[1], regions.norm(plain_value(places[0]).mean(0)))


@pytest.mark.parametrize("dtga", ["both", "forward", "backward", "off"])
@pytest.mark.parametrize("text", ["vectors", "sentence"])
def test_padding_has_no_influence(text, dtga):
    model = made(text=text, dtga=dtga)
    with torch.inference_mode():
        alone = model.embed_texts(TEXTS[1:2])
        padded = model.embed_texts(TEXTS)
        torch.testing.assert_close(alone[0], padded[1], atol=1e-5, rtol=1e-5)


def test_masked_words_are_neither_attended_nor_counted():
    gated = Gated(8, 0.0)
    words, mask = torch.randn(1, 4, 8), torch.tensor([[True, True, True, False]])
    spoiled = words.clone()
    spoiled[0, 3] = 1e3
    torch.testing.assert_close(gated(words, mask)[:, :3], gated(spoiled, mask)[:, :3])
    guide = Guide(8, 2)
    regions = guide.offer(torch.randn(1, 3, 8))
    torch.testing.assert_close(guide(words, mask, regions), guide(spoiled, mask, regions))
    torch.testing.assert_close(guide.pairs(words, mask, regions), guide.pairs(spoiled, mask, regions))


def gated_by_hand(gated, words):
    """SWAN's gated attention for one text (T, W), word by word and head by head."""
    t, w = words.shape
    d = w // 2
    q, k, v = gated.ask(words), gated.key(words), gated.value(words)
    found = torch.zeros(t, w)
    for start in range(0, w, d):
        part = slice(start, start + d)
        asked, keys = [], []
        for n in range(t):
            both = gated.of_ask(q[n, part]) * gated.of_key(k[n, part])
            gates = torch.sigmoid(gated.gate(both))
            asked.append(q[n, part] * gates[:d])
            keys.append(k[n, part] * gates[d:])
        for n in range(t):
            shares = torch.tensor([float(asked[n] @ key) / math.sqrt(d) for key in keys]).softmax(0)
            found[n, part] = sum(share * v[m, part] for m, share in enumerate(shares))
    return words + gated.norm(found)


def test_dtga_gates_each_direction_and_lets_it_weigh_the_other():
    torch.manual_seed(0)
    dtga = Dtga(6, 0.0)
    ahead, back = torch.randn(2, 1, 3, 6)
    with torch.inference_mode():
        attended = gated_by_hand(dtga.forwards, ahead[0]), gated_by_hand(dtga.backwards, back[0])
        prob = 1 / (1 + torch.exp(-back[0])), 1 / (1 + torch.exp(-ahead[0]))
        wanted = dtga.mlp(attended[0] * prob[0] + attended[1] * prob[1])
        found = dtga(ahead, back, torch.ones(1, 3, dtype=torch.bool))[0]
    torch.testing.assert_close(found, wanted)


def test_a_closed_gate_makes_all_words_count_alike():
    gated = Gated(4, 0.0)
    with torch.no_grad():
        gated.gate.weight.zero_()
        gated.gate.bias.fill_(-100)
    words = torch.randn(1, 3, 4)
    with torch.inference_mode():
        found = gated(words, torch.ones(1, 3, dtype=torch.bool)) - words
        wanted = gated.norm(gated.value(words).mean(1))
    torch.testing.assert_close(found, wanted[:, None].expand(1, 3, 4))


def test_pairs_are_what_each_picture_says_to_each_text():
    guide = Guide(8, 2)
    words, regions = torch.randn(3, 4, 8), torch.randn(2, 5, 8)
    mask = torch.tensor([[True] * 4, [True, True, False, False], [True, False, False, False]])
    with torch.inference_mode():
        found = guide.pairs(words, mask, guide.offer(regions))
        assert found.shape == (2, 3, 8)
        for b in range(2):
            torch.testing.assert_close(found[b], guide(words, mask, guide.offer(regions[b : b + 1])))


def test_guidance_by_a_picture_depends_on_it_and_guidance_by_prototypes_on_none():
    model = made(guidance="pair")
    with torch.inference_mode():
        mine, other, read = model.offer(maps()), model.offer(maps(seed=1)), model.read(TEXTS)
        before = model.similarity(mine, *read)
        assert (before - model.similarity(Offer(mine.images, other.regions), *read)).abs().max() > 1e-3
        torch.testing.assert_close(model.pair_similarity(maps(), TEXTS), before)
        # an image in which no kind finds anything guides as the prototypes do, and these know no image
        empty = model.iga.offer(model.regions.prototypes().expand(3, -1, -1))
        wanted = mine.images @ model.embed_texts(TEXTS).T
        torch.testing.assert_close(model.similarity(Offer(mine.images, empty), *read), wanted)


def test_prototypes_guide_unless_nothing_does():
    for guidance in ("prototypes", "none"):
        model = made(guidance=guidance)
        with torch.inference_mode():
            before = model.embed_texts(TEXTS)
            model.regions.kinds += torch.randn_like(model.regions.kinds)
            assert torch.equal(before, model.embed_texts(TEXTS)) is (guidance == "none")
    with pytest.raises(ValueError, match="do not guide"):
        model.pair_similarity(maps(), TEXTS)


@pytest.mark.parametrize(
    ("dtga", "ahead", "back"), [("both", 1, 1), ("forward", 1, 0), ("backward", 0, 1), ("off", 1, 1)]
)
def test_dtga_reads_the_directions_it_is_told_to(dtga, ahead, back):
    model = made(dtga=dtga)
    for suffix, counts in (("l0", ahead), ("l0_reverse", back)):
        with torch.inference_mode():
            before = model.embed_texts(TEXTS)
            getattr(model.gru.gru, f"weight_ih_{suffix}").add_(0.3)
            assert torch.equal(before, model.embed_texts(TEXTS)) is not bool(counts)


def test_without_dtga_the_directions_are_averaged():
    model = made(dtga="off")
    with torch.inference_mode():
        ahead, back = model.gru(*model.word_encoder(TEXTS))
        torch.testing.assert_close(model.read(TEXTS)[0], (ahead + back) / 2)
    assert not any("dtga" in name for name in model.state_dict())


def hinges_by_hand(images, texts, spared):
    s = [[float(image @ text) for text in texts] for image in images]
    n, total = len(s), 0.0
    for i in range(n):
        for j in range(n):
            if i != j and not spared[i][j]:
                total += max(0.0, 0.2 + s[i][j] - s[i][i]) + max(0.0, 0.2 + s[i][j] - s[j][j])
    return total / n


def test_the_loss_is_ranking_and_global_constraint():
    model, pictures = made(global_weight=3.0), maps()
    ignore_mask = torch.zeros(3, 3, dtype=torch.bool)
    ignore_mask[0, 2] = True
    with torch.inference_mode():
        found = model.losses(batch(pictures, TEXTS, ignore_mask))
        whole = fn.normalize(model.train_heads["whole"](model.look(pictures)[0].mean(1)), dim=1)
        kept = [words[mask].mean(0) for words, mask in zip(*model.read(TEXTS), strict=True)]
        sentences = fn.normalize(torch.stack(kept), dim=1)
        rank = hinges_by_hand(model.embed_images(pictures), model.embed_texts(TEXTS), ignore_mask)
        constraint = hinges_by_hand(whole, sentences, ignore_mask)
    assert set(found) == {"rank", "global"}
    assert float(found["rank"]) == pytest.approx(rank, rel=1e-4)
    assert float(found["global"]) == pytest.approx(3 * constraint, rel=1e-4)


def test_without_weight_there_is_no_global_constraint():
    with torch.inference_mode():
        model = made(global_weight=0.0)
        assert set(model.losses(batch(maps(), TEXTS))) == {"rank"}
    assert not list(model.train_heads.parameters())


def test_pairs_are_trained_by_their_own_likeness():
    model = made(guidance="pair", global_weight=0.0)
    ignore_mask = torch.zeros(3, 3, dtype=torch.bool)
    ignore_mask[0, 2] = True
    with torch.inference_mode():
        found = model.losses(batch(maps(), TEXTS, ignore_mask))
        similarity = model.pair_similarity(maps(), TEXTS)
    wanted = hinges_by_hand(similarity, torch.eye(3), ignore_mask)
    assert float(found["pair"]) == pytest.approx(wanted, rel=1e-4)
    assert set(found) == {"rank", "pair"}


@pytest.mark.parametrize(("loss", "guidance"), [("triplet", "prototypes"), ("info_nce", "pair")])
def test_it_learns_which_text_is_whose(loss, guidance):
    model, pictures = made(loss=loss, guidance=guidance).train(), maps(6)
    texts = [*TEXTS, "a river", "boats", "a dark port"]
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(25):
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            torch.stack(list(model.losses(batch(pictures, texts)).values())).sum().backward()
        optimiser.step()
    model.eval()
    with torch.inference_mode():
        similarity = model.embed_images(pictures) @ model.embed_texts(texts).T
        assert similarity.argmax(0).tolist() == similarity.argmax(1).tolist() == list(range(6))
        if guidance == "pair":
            assert model.pair_similarity(pictures, texts).argmax(1).tolist() == list(range(6))


def test_a_setting_that_does_not_exist_is_refused():
    for wrong in ({"guidance": "words"}, {"dtga": "left"}, {"loss": "mse"}, {"text": "letters"}):
        with pytest.raises(ValueError, match="is one of"):
            made(**wrong)
