"""GaLR's ideas, each on inputs small enough to say beforehand what must come out."""

import pytest
import torch
from rs_text_search_plugin.models.galr import (
    FUSIONS,
    Galr,
    GalrSettings,
    GraphConvolution,
    Midf,
    Mvsa,
    Objects,
    SalientObjects,
    merging,
    neighbours,
    peaks,
)
from rs_text_search_plugin.models.losses import triplet
from rs_text_search_plugin.models.system import GRID, PLACES, Batch, Maps
from rs_text_search_plugin.models.text import SPECIAL
from torch.nn import functional as fn

VOCABULARY = [*SPECIAL, "ship", "harbour", "farm", "field", "white", "tank", "##s"]
TEXTS = ["white ship", "harbour", "farm field", "white tanks"]
LABELS = 3
SMALL = {"labels": LABELS, "dim": 32, "gru": 16, "feature": 16, "objects": 6}


def built(**settings):
    torch.manual_seed(0)
    return Galr(VOCABULARY, {**SMALL, **settings}).eval()


def maps(n=4, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return Maps(
        torch.rand(n, PLACES, 512, generator=draw).relu(), torch.rand(n, PLACES, 1024, generator=draw)
    )


def batch(seen=None, unclear=None):
    number = torch.arange(4)
    nothing = torch.zeros(4, 4, dtype=torch.bool)
    unclear = nothing if unclear is None else unclear
    return Batch(seen or maps(), None, TEXTS, number, number, number % LABELS, unclear)


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


# -- objects and their graph --


def chances(planted):
    """Two classes at PLACES places of one picture, even everywhere but at the {place: class} planted."""
    chance = torch.full((1, PLACES, 2), 0.5)
    chance[0, :, 0] -= 0.01 * torch.arange(PLACES) / PLACES  # no two places tie
    chance[0, :, 1] = 0.1
    for place, (kind, value) in planted.items():
        chance[0, place] = 0.05
        chance[0, place, kind] = value
    return chance


def test_the_planted_objects_are_the_peaks_and_the_clearest_comes_first():
    places, salience = peaks(chances({7: (0, 0.8), 18: (1, 0.9)}), 2)
    assert places.tolist() == [[18, 7]]
    torch.testing.assert_close(salience, torch.tensor([[0.9, 0.8]]))


def test_next_to_a_peak_only_another_class_is_an_object_of_its_own():
    places, salience = peaks(chances({12: (0, 0.9), 13: (0, 0.8)}), PLACES)
    assert 13 not in places[salience > 0]
    places, salience = peaks(chances({12: (0, 0.9), 13: (1, 0.8)}), PLACES)
    assert {12, 13} <= set(places[salience > 0].tolist())


def test_the_objects_of_a_picture_do_not_depend_on_the_pictures_beside_it():
    one, other = chances({7: (0, 0.8)}), chances({18: (1, 0.9), 2: (0, 0.7)})
    together = peaks(torch.cat([one, other]), 4)
    for row, chance in enumerate((one, other)):
        for both, alone in zip(together, peaks(chance, 4), strict=True):
            torch.testing.assert_close(both[row : row + 1], alone)


def test_the_scene_head_finds_what_it_was_trained_on():
    """A feature that stands for a class, planted at one place, becomes the object there."""
    finder = SalientObjects(GalrSettings(**SMALL)).eval()
    finder.head.weight.data.zero_()
    finder.head.bias.data.zero_()
    finder.head.weight.data[2, 700] = 5.0
    last = torch.zeros(1, PLACES, 1024)
    last[0, 3 * GRID + 1, 700] = 2.0
    objects, activation = finder(last)
    assert activation[0].argmax().item() == (3 * GRID + 1) * LABELS + 2
    assert objects.rows[0, 0, :LABELS].argmax() == 2
    torch.testing.assert_close(objects.spots[0, 0], torch.tensor([3.5, 1.5]) / GRID)
    torch.testing.assert_close(objects.rows[0, 0, -2:], objects.spots[0, 0])


def test_near_identical_objects_become_their_mean_by_salience():
    seen = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.99, 0.01], [0.0, 0.9]]])
    salience = torch.tensor([[0.9, 0.6, 0.3, 0.0]])
    weights, left = merging(seen, salience, 0.95)
    rows = torch.tensor([[[4.0], [10.0], [8.0], [99.0]]])
    torch.testing.assert_close(weights @ rows, torch.tensor([[[5.0], [10.0], [0.0], [0.0]]]))
    torch.testing.assert_close(left, torch.tensor([[0.9, 0.6, 0.0, 0.0]]))


def test_likeness_is_passed_on_along_a_chain():
    angle = torch.tensor([0.0, 0.4, 0.8, 1.2, 2.9])
    seen = torch.stack([angle.cos(), angle.sin()], 1)[None]
    _, left = merging(seen, torch.full((1, 5), 0.5), 0.9)
    assert (left[0] > 0).tolist() == [True, False, False, False, True]


def test_nearer_and_more_salient_objects_weigh_more_and_missing_ones_nothing():
    spots = torch.tensor([[[0.1, 0.1], [0.1, 0.3], [0.9, 0.9], [0.1, 0.3], [0.0, 0.0]]])
    salience = torch.tensor([[0.5, 0.5, 0.5, 0.9, 0.0]])
    objects = Objects(torch.zeros(1, 5, 1), salience, spots)
    tie = neighbours(objects, True)[0]
    assert tie[0, 1] > tie[0, 2] > 0
    assert tie[0, 3] > tie[0, 1]
    torch.testing.assert_close(tie.sum(1), torch.tensor([1.0, 1, 1, 1, 0]))
    assert (tie[:, 4] == 0).all()
    plain = neighbours(objects, False)[0]
    torch.testing.assert_close(plain[:4], torch.tensor([0.25, 0.25, 0.25, 0.25, 0]).expand(4, 5))


def test_a_graph_convolution_moves_information_along_the_adjacency_only():
    torch.manual_seed(0)
    layer = GraphConvolution(6, 8)
    adjacency = torch.tensor([[[0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1.0]]])
    rows = torch.randn(1, 4, 6)
    changed = rows.clone()
    changed[0, 0] += 1
    moved = (layer(rows, adjacency) - layer(changed, adjacency)).abs().sum(2)[0] > 0
    assert moved.tolist() == [True, True, False, False]
    second = GraphConvolution(8, 8)
    second.weight.weight.data = torch.eye(8)
    moved = (
        second(layer(rows, adjacency), adjacency) - second(layer(changed, adjacency), adjacency)
    ).abs().sum(2)[0] > 0
    assert moved.tolist() == [True, True, True, False]


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
def test_both_towers_give_unit_vectors_and_their_own_length_does_not_matter(fusion, text):
    system = built(fusion=fusion, text=text)
    with torch.inference_mode():
        images, texts = system.embed_images(maps()), system.embed_texts(TEXTS)
        alone = system.embed_texts(TEXTS[1:2])
    for found in (images, texts):
        assert found.shape == (4, system.dim)
        torch.testing.assert_close(found.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(alone[0], texts[1], atol=1e-5, rtol=1e-5)


def test_without_the_local_branch_nothing_local_is_built_trained_or_seen():
    system = built(fusion="global", labels=0)
    assert not [name for name, _ in system.named_parameters() if name.startswith(("local", "midf"))]
    assert set(system.losses(batch())) == {"triplet"}
    # the mean over the places and the gate are all the global branch reads of where things are
    system.whole.gate.weight.data.zero_()
    seen = maps()
    turned = Maps(seen.middle.flip(1), seen.last.flip(1))
    torch.testing.assert_close(system.embed_images(seen), system.embed_images(turned))


def test_without_the_global_branch_the_middle_map_has_no_influence():
    seen = maps()
    other = Maps(maps(seed=1).middle, seen.last)
    for fusion in FUSIONS:
        system = built(fusion=fusion)
        same = torch.allclose(system.embed_images(seen), system.embed_images(other), atol=1e-6)
        assert same == (fusion == "local")


def test_sum_is_the_sum_of_both_branches():
    system, seen = built(fusion="sum"), maps()
    middle, last = (fn.layer_norm(stage, stage.shape[-1:]) for stage in seen)
    total = system.whole(middle, last) + system.local(last)[0]
    torch.testing.assert_close(system.embed_images(seen), fn.normalize(total, dim=1))


def test_without_drea_no_rows_are_merged():
    seen = maps()
    same = Maps(seen.middle, seen.last[:, :1].expand(-1, PLACES, -1))  # every place looks alike
    _, last = (fn.layer_norm(stage, stage.shape[-1:]) for stage in same)
    counts = [
        (built(drea=drea).local.objects(last)[0].salience > 0).sum(1).tolist() for drea in (True, False)
    ]
    assert counts == [[1] * 4, [SMALL["objects"]] * 4]


def test_losses_are_the_formula_and_the_scene_head_learns_from_the_labels_only():
    system = built()
    unclear = torch.zeros(4, 4, dtype=torch.bool)
    unclear[0, 1] = True
    given = batch(unclear=unclear)
    found = system.losses(given)
    images, texts = system.embed_images(given.maps), system.embed_texts(TEXTS)
    torch.testing.assert_close(found["triplet"], triplet(images, texts, 0.2, unclear))
    found["triplet"].backward(retain_graph=True)
    head = system.local.objects.head
    assert head.weight.grad is None
    others = {"whole", "local", "midf", "gru", "sentence"}
    for name, parameter in system.named_parameters():
        if name.split(".")[0] in others and "objects.head" not in name:
            assert parameter.grad is not None, name
    found["scene"].backward()
    assert head.weight.grad.abs().sum() > 0


def test_info_nce_learns_its_scale():
    system = built(loss="info_nce")
    found = system.losses(batch())
    assert set(found) == {"info_nce", "scene"}
    found["info_nce"].backward()
    assert system.scale.grad.abs() > 0


def test_a_few_steps_bring_pictures_and_their_texts_together():
    torch.manual_seed(0)
    system = built()
    given = batch()
    step = torch.optim.Adam(
        [p for n, p in system.named_parameters() if not n.startswith("backbone.")], lr=3e-3
    )
    for _ in range(30):
        loss = sum(system.losses(given).values())
        step.zero_grad()
        loss.backward()
        step.step()
    with torch.inference_mode():
        likeness = system.embed_images(given.maps) @ system.embed_texts(TEXTS).T
    assert likeness.argmax(1).tolist() == likeness.argmax(0).tolist() == [0, 1, 2, 3]


def test_maps_as_they_lie_on_disk_go_through_in_bf16():
    system, seen = built(), maps()
    stored = Maps(seen.middle.half(), seen.last.half())
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found, texts = system.embed_images(stored), system.embed_texts(TEXTS)
    assert found.dtype == texts.dtype == torch.float32
    with torch.inference_mode():
        assert ((found * system.embed_images(seen)).sum(1) > 0.98).all()


@pytest.mark.parametrize("wrong", [{"fusion": "max"}, {"loss": "hinge"}, {"labels": 0}, {"text": "letters"}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter({"text": "kind"}.get(k, k) for k in wrong))):
        built(**wrong)


def test_the_weights_are_as_small_as_they_may_be():
    system = Galr(VOCABULARY, {"labels": 31})
    own = sum(p.numel() for n, p in system.named_parameters() if not n.startswith(("backbone.", "words.")))
    assert own <= 7_000_000
