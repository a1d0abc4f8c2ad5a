"""GaLR's ideas, each on inputs small enough to say beforehand what must come out."""

import pytest
import torch
from rs_text_search_plugin.models.layers.losses import triplet
from rs_text_search_plugin.models.layers.minilm import SPECIAL
from rs_text_search_plugin.models.systems import base as system
from rs_text_search_plugin.models.systems.base import GRID_CELLS, Batch, Maps
from rs_text_search_plugin.models.systems.galr import FUSIONS, Galr, GalrSettings, Midf, Mvsa
from torch import nn
from torch.nn import functional as fn

VOCABULARY = [*SPECIAL, "ship", "harbour", "farm", "field", "white", "tank", "##s"]
TEXTS = ["white ship", "harbour", "farm field", "white tanks"]
LABELS = 3
SMALL = {"labels": LABELS, "dim": 32, "gru": 16, "feature": 16, "objects": 6}


@pytest.fixture(autouse=True)
def _without_backbone(monkeypatch):
    """Systems are given maps here; a backbone would only take time to build."""
    monkeypatch.setattr(system, "ResNet50V2", nn.Identity)


def built(**settings):
    torch.manual_seed(0)
    return Galr(VOCABULARY, {**SMALL, **settings}).eval()


def maps(seed=0):
    draw = torch.Generator().manual_seed(seed)
    return Maps(*(torch.rand(4, GRID_CELLS, channels, generator=draw) for channels in (512, 1024)))


def normalised(seen):
    return [fn.layer_norm(stage, stage.shape[-1:]) for stage in seen]


def batch():
    number, ignore_mask = torch.arange(4), torch.zeros(4, 4, dtype=torch.bool)
    ignore_mask[0, 1] = True
    return Batch(maps(), None, TEXTS, number, number, number % LABELS, ignore_mask)


# -- MIDF --


def fusing(fusion="midf", weights=None):
    """A fusion whose dynamic weights are `weights` whatever comes in, if given."""
    torch.manual_seed(0)
    midf = Midf(GalrSettings(**SMALL, fusion=fusion)).eval()
    if weights is not None:
        last = midf.weigh[-1]
        last.weight.data.zero_()
        last.bias.data = torch.tensor(weights).clamp_min(1e-30).log()
    return midf


def always(reading, value):
    """A reading that says `value` (dim,) whatever comes in."""
    reading.norms[-1].weight.data.zero_()
    reading.norms[-1].bias.data = value.clone()


def pair(seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(5, 32, generator=draw), torch.randn(5, 32, generator=draw)


def test_the_local_view_opens_and_shuts_the_global_one_place_by_place():
    midf = fusing(weights=[1.0, 0.0])
    gates = torch.where(torch.arange(32) < 16, -50.0, 50.0)
    always(midf.correction, gates)
    said = torch.linspace(1, 2, 32)
    always(midf.supplement, said)
    out = midf(*pair())
    torch.testing.assert_close(out[:, :16], torch.zeros(5, 16))
    torch.testing.assert_close(out[:, 16:], said[16:].expand(5, 16))


def test_the_global_view_is_added_to_the_local_one():
    midf = fusing(weights=[0.0, 1.0])
    local, whole = torch.linspace(-1, 1, 32), torch.linspace(3, 4, 32)
    always(midf.correction, local)
    always(midf.supplement, whole)
    torch.testing.assert_close(midf(*pair()), (local + whole).expand(5, 32))


def test_the_global_vector_corrects_the_local_one_first_and_is_supplemented_by_the_corrected_one():
    midf = fusing()
    (whole, local), (other_whole, other_local) = pair(), pair(1)
    seen = {}
    midf.correction.register_forward_hook(lambda _, given, out: seen.update(corrected=out, guide=given[1]))
    midf.supplement.register_forward_hook(lambda _, given, out: seen.update(second_guide=given[1]))
    midf(whole, local)
    torch.testing.assert_close(seen["guide"], midf.own_global(whole))
    assert seen["second_guide"] is seen["corrected"]
    # with a local vector that no longer depends on what was found, only the global one is left to matter
    always(midf.correction, torch.zeros(32))
    torch.testing.assert_close(midf(whole, local), midf(whole, other_local))
    assert not torch.allclose(midf(whole, local), midf(other_whole, local))


def test_both_weights_are_dynamic_and_sum_to_one():
    midf = fusing()
    local, whole = torch.full((32,), 0.3), torch.full((32,), 2.0)
    always(midf.correction, local)
    always(midf.supplement, whole)
    first = midf.weigh(local.sigmoid() * whole + whole + local).softmax(0)[0]
    expected = first * local.sigmoid() * whole + (1 - first) * (whole + local)
    torch.testing.assert_close(midf(*pair()), expected.expand(5, 32))


def test_the_released_variant_uses_the_first_weight_twice():
    ours, released = fusing(weights=[0.8, 0.2]), fusing("midf_released", [0.8, 0.2])
    only_corrected, only_supplemented = fusing(weights=[1.0, 0.0]), fusing(weights=[0.0, 1.0])
    corrected, supplemented = only_corrected(*pair()), only_supplemented(*pair())
    torch.testing.assert_close(ours(*pair()), 0.8 * corrected + 0.2 * supplemented)
    torch.testing.assert_close(released(*pair()), 0.8 * corrected + 0.8 * supplemented)


# -- MVSA --


def test_the_lower_scale_only_gates_what_the_mean_of_the_higher_one_says():
    torch.manual_seed(0)
    mvsa = Mvsa(GalrSettings(**SMALL)).eval()
    middle, last = maps()
    other = maps(seed=1).middle
    first, second = mvsa(middle, last), mvsa(other, last)
    assert not torch.allclose(first, second)
    said = mvsa.solo(last.mean(1))
    assert (first.sign() == said.sign()).all()
    mvsa.gate.weight.data.zero_()
    torch.testing.assert_close(mvsa(middle, last), mvsa(other, last))


# -- the system --


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("text", ["vectors", "sentence"])
def test_both_towers_give_unit_vectors_and_padding_does_not_matter(fusion, text):
    galr = built(fusion=fusion, text=text)
    with torch.inference_mode():
        images, texts = galr.embed_images(maps()), galr.embed_texts(TEXTS)
        alone = galr.embed_texts(TEXTS[1:2])
    for found in (images, texts):
        assert found.shape == (4, galr.dim)
        torch.testing.assert_close(found.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(alone[0], texts[1], atol=1e-5, rtol=1e-5)


def test_without_the_local_branch_nothing_local_is_built_trained_or_seen():
    galr = built(fusion="global", labels=0)
    assert not [name for name, _ in galr.named_parameters() if name.startswith(("local", "midf"))]
    assert set(galr.losses(batch())) == {"triplet"}
    torch.testing.assert_close(galr.embed_images(maps()), galr.whole(*normalised(maps())))


def test_without_the_global_branch_the_middle_map_has_no_influence():
    seen = maps()
    other = Maps(maps(seed=1).middle, seen.last)
    for fusion in FUSIONS:
        galr = built(fusion=fusion)
        same = torch.allclose(galr.embed_images(seen), galr.embed_images(other), atol=1e-6)
        assert same == (fusion == "local")
    assert not [name for name, _ in built(fusion="local").named_parameters() if name.startswith("whole")]


def test_sum_is_the_sum_of_both_branches_and_midf_is_not():
    for fusion in ("sum", "midf"):
        galr = built(fusion=fusion)
        middle, last = normalised(maps())
        total = fn.normalize(galr.whole(middle, last) + galr.local(last)[0], dim=1)
        assert torch.allclose(galr.embed_images(maps()), total, atol=1e-6) == (fusion == "sum")


def test_without_drea_no_rows_are_merged():
    last = normalised(maps())[1][:, :1].expand(-1, GRID_CELLS, -1)  # every place looks alike
    counts = {
        drea: (built(drea=drea).local.objects(last)[0].salience > 0).sum(1).tolist() for drea in (True, False)
    }
    assert counts == {True: [1] * 4, False: [SMALL["objects"]] * 4}


def test_without_drea_all_objects_are_equal_neighbours():
    unmerged = built(same=1.1).embed_images(maps())  # no cosine is above 1: only the adjacency differs
    assert not torch.allclose(unmerged, built(drea=False).embed_images(maps()), atol=1e-5)


def test_the_triplet_loss_is_its_formula_and_trains_everything_but_the_scene_head():
    galr, given = built(), batch()
    found = galr.losses(given)
    images, texts = galr.embed_images(given.maps), galr.embed_texts(TEXTS)
    torch.testing.assert_close(found["triplet"], triplet(images, texts, 0.2, given.ignore_mask))
    found["triplet"].backward()
    untouched = [
        name for name, p in galr.named_parameters() if p.grad is None and not name.startswith("words.")
    ]
    assert untouched == ["local.objects.head.weight", "local.objects.head.bias"]


def test_the_scene_labels_train_the_scene_head_and_nothing_else():
    galr, given = built(), batch()
    loss = galr.losses(given)["scene"]
    head = galr.local.objects.head
    pooled = head(normalised(given.maps)[1].mean(1))
    torch.testing.assert_close(loss, fn.cross_entropy(pooled, given.labels))
    loss.backward()
    touched = [name for name, p in galr.named_parameters() if p.grad is not None]
    assert touched == ["local.objects.head.weight", "local.objects.head.bias"]


def test_info_nce_learns_its_scale():
    galr = built(loss="info_nce")
    found = galr.losses(batch())
    assert set(found) == {"info_nce", "scene"}
    found["info_nce"].backward()
    assert galr.scale.grad.abs() > 0


def test_a_few_steps_bring_pictures_and_their_texts_together():
    galr, given = built(), batch()
    step = torch.optim.Adam(galr.parameters(), lr=3e-3)
    for _ in range(30):
        step.zero_grad()
        sum(galr.losses(given).values()).backward()
        step.step()
    with torch.inference_mode():
        similarity = galr.embed_images(given.maps) @ galr.embed_texts(TEXTS).T
    assert similarity.argmax(1).tolist() == similarity.argmax(0).tolist() == [0, 1, 2, 3]


def test_maps_as_they_lie_on_disk_go_through_in_bf16():
    galr, seen = built(), maps()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = galr.embed_images(Maps(*(stage.half() for stage in seen)))
        texts = galr.embed_texts(TEXTS)
    assert found.dtype == texts.dtype == torch.float32
    with torch.inference_mode():
        exact = galr.embed_images(seen)
        own = galr.bfloat16().embed_images(Maps(*(stage.bfloat16() for stage in seen)))
    for rounded in (found, own):
        assert ((rounded * exact).sum(1) > 0.98).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"fusion": "max"}, "fusion"), ({"loss": "hinge"}, "loss"), ({"labels": 0}, "labels"), ({"text": "x"}, "kind")],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        built(**wrong)


def test_its_own_weights_are_few():
    own = [p for n, p in Galr(VOCABULARY, {"labels": 60}).named_parameters() if not n.startswith("words.")]
    assert sum(p.numel() for p in own) <= 7_000_000
