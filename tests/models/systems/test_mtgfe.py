from dataclasses import replace

import pytest
import torch
from rs_text_search_plugin.models.layers import minilm as pieces
from rs_text_search_plugin.models.layers.minilm import SPECIAL
from rs_text_search_plugin.models.layers.mobilenetv2 import LAST, MIDDLE
from rs_text_search_plugin.models.systems import mtgfe
from rs_text_search_plugin.models.systems.base import GRID_CELLS, Batch, Maps, TrainingSetInfo
from rs_text_search_plugin.models.systems.masking import certain_negatives, drawn, hide
from rs_text_search_plugin.models.systems.mtgfe import Mtgfe
from rs_text_search_plugin.models.training.recipe import Recipe
from rs_text_search_plugin.models.training.trainer import parameter_groups
from torch.nn import functional as fn

WORDS = ["red", "green", "blue", "white", "roof", "of", "a", "house", "by", "the", "river"]
VOCABULARY = [*SPECIAL, *WORDS]
TOWERS = {"text_layers": 1, "width": 48, "heads": 4, "dim": 16}
SMALL = {"towers": TOWERS, "width": 32, "heads": 4, "dim": 16, "layers": 2, "dropout": 0.0}
COLOURS = WORDS[:4]


@pytest.fixture
def build(monkeypatch):
    """A small system with some tasks on; without the towers' backbone, which no loss looks at."""
    monkeypatch.setattr("rs_text_search_plugin.models.systems.base.ResNet50V2", torch.nn.Identity)

    def made(**settings):
        torch.manual_seed(0)
        system = Mtgfe(VOCABULARY, {**SMALL, **settings})
        system.prepare(TrainingSetInfo(4, [], []))
        return system

    return made


def pictures(count, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return Maps(*(torch.randn(count, GRID_CELLS, width, generator=draw) for width in (MIDDLE, LAST)))


def batch_of(texts, second_view=None):
    count = len(texts)
    sentences = torch.tensor([texts.index(text) for text in texts])
    ignore_mask = (sentences[:, None] == sentences).fill_diagonal_(False)
    numbers = torch.arange(count)
    return Batch(
        pictures(count), second_view, list(texts), numbers, sentences, torch.zeros(count).long(), ignore_mask
    )


def colours():
    return batch_of([f"a {colour} roof" for colour in COLOURS], second_view=pictures(4, seed=1))


def learn(system, batch, steps, rate=3e-3):
    optimiser = torch.optim.Adam(system.parameters(), rate)
    for _ in range(steps):
        optimiser.zero_grad()
        sum(system.losses(batch).values()).backward()
        optimiser.step()


def test_padding_has_no_influence(build):
    system = build().eval()
    maps, texts = pictures(2), ["a red roof", "a white house by the river of the red house"]
    with torch.inference_mode():
        keys = system.image_keys(maps)
        ids, mask = system.tokenizer.batch(texts)
        disturbed = ids.where(mask, torch.tensor(VOCABULARY.index("blue")))
        assert not torch.equal(ids, disturbed)
        fused = [system._fuse(keys, system._read(i, mask)) for i in (ids, disturbed)]
        torch.testing.assert_close(fused[0][mask], fused[1][mask])
        together, alone = system.embed_texts(texts)[0], system.embed_texts(texts[:1])[0]
        torch.testing.assert_close(together, alone)


def test_a_pair_is_judged_the_same_in_any_company(build, monkeypatch):
    monkeypatch.setattr(pieces, "TEXTS_PER_BATCH", 3)
    system = build().eval()
    texts = ["a red roof", "the river", "a white house by the river", "the river", "a"]
    with torch.inference_mode():
        keys = system.image_keys(pictures(5))
        alone = torch.cat([system.pair_logits(keys[i : i + 1], [text]) for i, text in enumerate(texts)])
        torch.testing.assert_close(system.pair_logits(keys, texts), alone)
        torch.testing.assert_close(
            system.pair_logits(keys[:1].expand(5, -1, -1), texts)[[0, 3]],
            torch.cat([system.pair_logits(keys[:1], [texts[i]]) for i in (0, 3)]),
        )
        assert len(set(alone.tolist())) == 5


def test_the_picture_decides_what_a_pair_is_worth(build):
    system = build().eval()
    with torch.inference_mode():
        keys = system.image_keys(pictures(2))
        one, two = system.pair_logits(keys, ["a red roof"] * 2)
    assert abs(one - two) > 1e-4


def test_no_negative_shares_its_text_or_picture():
    texts = torch.tensor([0, 0, 1, 1, 2, 3])
    images = torch.tensor([0, 1, 2, 3, 3, 4])
    batch = replace(batch_of(["a"] * 6), images=images, sentences=texts, ignore_mask=torch.zeros(6, 6).bool())
    batch.ignore_mask[5, 0] = True
    allowed = certain_negatives(batch)
    similarity = 5.0 * torch.eye(6) + 3.0 * (texts[:, None] == texts) + 3.0 * (images[:, None] == images)
    seen = set()
    for _ in range(200):
        rows, columns = drawn(similarity, allowed)
        columns = columns.flatten()
        assert rows.tolist() == list(range(6))
        assert (texts[rows] != texts[columns]).all()
        assert (images[rows] != images[columns]).all()
        seen |= set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert (5, 0) not in seen
    assert {(0, 2), (0, 5), (5, 1)} <= seen


def test_harder_negatives_are_drawn_more_often():
    similarity = torch.tensor([[9.0, 2.0, 0.0]]).expand(2000, 3)
    allowed = torch.tensor([[False, True, True]]).expand(2000, 3)
    rows, columns = drawn(similarity, allowed)
    assert len(rows) == 2000
    assert float((columns == 1).float().mean()) == pytest.approx(0.881, abs=0.04)


def test_a_batch_of_one_text_teaches_matching_nothing(build):
    system = build(mlm=0, mvjrc=0)
    loss = system.losses(batch_of(["a red roof"] * 4))["itm"]
    loss.backward()
    assert loss == 0


def judged(system, batch):
    """What alignment says of all pairs, and what the fusion encoder adds: (images, texts) each."""
    with torch.no_grad():
        keys = system.image_keys(batch.maps)
        aligned = system.similarity_matrix([batch.maps], batch.texts)
        whole = [system.pair_logits(keys[i : i + 1].expand(4, -1, -1), batch.texts) for i in range(4)]
    return aligned, torch.stack(whole) - aligned


def test_matching_is_a_choice_among_hard_pairs_by_what_fusion_adds(build, monkeypatch):
    def next_ones(similarity, _allowed, count):
        rows = torch.arange(len(similarity))
        return rows, torch.stack([(rows + 1 + i) % len(rows) for i in range(count)], 1)

    monkeypatch.setattr(mtgfe, "drawn", next_ones)
    system, batch = build(mlm=0, mvjrc=0, wrong=2).eval(), colours()
    with torch.no_grad():
        loss = system.losses(batch)["itm"]
    _, scores = judged(system, batch)
    choices = [[scores[i, i], scores[(i + 1) % 4, i], scores[(i + 2) % 4, i]] for i in range(4)]
    choices += [[scores[i, i], scores[i, (i + 1) % 4], scores[i, (i + 2) % 4]] for i in range(4)]
    expected = -torch.tensor(choices).log_softmax(1)[:, 0].mean()
    torch.testing.assert_close(loss, expected)


def test_matching_overrules_alignment_where_it_is_wrong(build):
    system, batch = build(mlm=0, mvjrc=0), colours()
    fusing = ("pairs", "enter", "fusion", "norm_joint", "belongs")
    for name, parameter in system.named_parameters():
        parameter.requires_grad_(name.startswith(fusing))
    learn(system, batch, 100)
    right = torch.arange(4)
    aligned, added = judged(system, batch)
    assert (aligned.argmax(1) != right).any()
    assert torch.equal((aligned + added).argmax(1), right)


def test_alignment_alone_learns_which_belong_together(build):
    system, batch = build(itm=0, mlm=0, mvjrc=0), colours()
    learn(system, batch, 30)
    aligned, _ = judged(system, batch)
    assert torch.equal(aligned.argmax(1), torch.arange(4))
    assert torch.equal(aligned.argmax(0), torch.arange(4))


def test_the_towers_stay_as_they_came(build):
    system = build()
    towers = [p for name in system.frozen for p in getattr(system, name).parameters()]
    learnt = [p for group in parameter_groups(system, Recipe(text_lr_factor=1.0)) for p in group["params"]]
    assert not {id(p) for p in towers} & {id(p) for p in learnt}
    assert not any(
        part.training for name in system.frozen for part in getattr(system.train(), name).modules()
    )


def test_hidden_words_are_asked_for_as_bert_does():
    torch.manual_seed(0)
    mark, pad = len(SPECIAL) - 1, 0
    ids = torch.randint(len(SPECIAL), 100, (4000, 20))
    ids[:, 0], ids[:, -3:] = mark, pad
    asked, shown = hide(ids, 0.15, 100)
    assert not asked[:, 0].any()
    assert not asked[:, -3:].any()
    assert asked.any(1).all()
    assert torch.equal(shown[~asked], ids[~asked])
    share = asked[:, 1:-3].float().mean()
    assert 0.15 < share < 0.17
    kinds = torch.stack([shown[asked] == SPECIAL.index("[UNK]"), shown[asked] == ids[asked]]).float().mean(1)
    torch.testing.assert_close(kinds, torch.tensor([0.8, 0.1]), atol=0.02, rtol=0)


def test_mlm_learns_a_word_that_only_the_picture_tells(build, monkeypatch):
    def hide_the_colour(ids, _share, _vocabulary):
        asked = torch.zeros_like(ids, dtype=torch.bool)
        asked[:, 2] = True
        return asked, ids.masked_fill(asked, SPECIAL.index("[UNK]"))

    monkeypatch.setattr(mtgfe, "hide", hide_the_colour)
    system = build(itm=0, mvjrc=0, mlm=1, share=1)
    learn(system, colours(), 40)
    with torch.no_grad():
        right = system.losses(colours())["mlm"]
        turned = replace(colours(), maps=Maps(*(part.roll(1, 0) for part in colours().maps)))
        wrong = system.losses(turned)["mlm"]
    assert right < 0.1
    assert wrong > 2


def test_mvjrc_pulls_two_views_together(build):
    system = build(itm=0, mlm=0, mvjrc=1, share=1)
    batch = colours()

    def represent(maps, text):
        own = torch.arange(4)
        joint = system._join(system.image_keys(maps), own, system.read([text] * 4), own)
        return fn.normalize(system.train_heads["mvjrc"](joint), dim=1)

    @torch.no_grad()
    def apart():
        """How much nearer a pair's other view is than its text with the other images."""
        similarity = torch.stack(
            [
                represent(batch.second_view, text) @ represent(batch.maps, text)[i]
                for i, text in enumerate(batch.texts)
            ]
        )
        return float(similarity.diagonal().mean() - similarity[~torch.eye(4).bool()].mean())

    before = apart()
    learn(system, batch, 60)
    assert apart() > before + 0.5


def test_the_text_alone_does_not_satisfy_mvjrc(build):
    system = build(itm=0, mlm=0, mvjrc=1, share=1)
    system.pairs.requires_grad_(False).weight.zero_()  # nothing of an image gets through
    learn(system, colours(), 25)
    with torch.no_grad():
        assert float(system.losses(colours())["mvjrc"]) == pytest.approx(0.693, abs=0.05)


def test_mvjrc_leaves_out_what_may_be_the_same(build):
    system = build(itm=0, mlm=0, mvjrc=1, share=1)
    alike = replace(batch_of(["a roof"] * 3), second_view=pictures(3, seed=1))
    assert float(system.losses(alike)["mvjrc"].detach()) == 0.0


@pytest.mark.parametrize(
    ("task", "own"),
    [
        ("itm", ["belongs"]),
        ("mlm", ["train_heads.mlm"]),
        ("mvjrc", ["train_heads.mvjrc"]),
    ],
)
def test_a_task_that_is_off_is_not_computed(build, task, own):
    def touched(system):
        losses = system.losses(colours())
        assert losses.pop("align") > 0
        sum(losses.values()).backward()
        image_parameters = {name for name, p in system.named_parameters() if p.grad is not None}
        return set(losses), {part for part in own if any(name.startswith(part) for name in image_parameters)}

    tasks = {"itm", "mlm", "mvjrc"}
    assert touched(build()) == (tasks, set(own))
    assert touched(build(**{task: 0})) == (tasks - {task}, set())


def test_mvjrc_without_a_second_view_is_refused(build):
    with pytest.raises(ValueError, match="second view"):
        build().losses(replace(colours(), second_view=None))


def test_maps_in_half_precision_are_taken_under_autocast(build):
    system = build()
    batch = colours()
    batch = replace(batch, maps=Maps(*(part.bfloat16() for part in batch.maps)), second_view=batch.maps)
    with torch.autocast("cpu", torch.bfloat16):
        losses = system.losses(batch)
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())


def test_it_stays_within_its_size(monkeypatch):
    monkeypatch.setattr("rs_text_search_plugin.models.systems.base.ResNet50V2", torch.nn.Identity)
    system = Mtgfe(VOCABULARY, {})
    words = sum(p.numel() for p in system.text.parameters())
    assert sum(p.numel() for p in system.parameters()) - words < 9e6
