"""How GaLR finds its objects and lets them speak to each other."""

import torch
from rs_text_search_plugin.models.systems.base import GRID, GRID_CELLS
from rs_text_search_plugin.models.systems.galr import (
    GalrSettings,
    GraphConvolution,
    Objects,
    SalientObjects,
    merging,
    neighbours,
    salient_cells,
)


def chances(planted):
    """Two classes at PLACES places of one image, even everywhere but at the {place: class} planted."""
    chance = torch.full((1, GRID_CELLS, 2), 0.5)
    chance[0, :, 0] -= 0.01 * torch.arange(GRID_CELLS) / GRID_CELLS  # no two places tie
    chance[0, :, 1] = 0.1
    for place, (kind, value) in planted.items():
        chance[0, place] = 0.05
        chance[0, place, kind] = value
    return chance


def test_the_planted_objects_are_the_peaks_and_the_clearest_comes_first():
    places, salience = salient_cells(chances({7: (0, 0.8), 18: (1, 0.9)}), 2)
    assert places.tolist() == [[18, 7]]
    torch.testing.assert_close(salience, torch.tensor([[0.9, 0.8]]))


def test_next_to_a_peak_only_another_class_is_an_object_of_its_own():
    places, salience = salient_cells(chances({12: (0, 0.9), 13: (0, 0.8)}), GRID_CELLS)
    assert 13 not in places[salience > 0]
    places, salience = salient_cells(chances({12: (0, 0.9), 13: (1, 0.8)}), GRID_CELLS)
    assert {12, 13} <= set(places[salience > 0].tolist())


def test_the_objects_of_a_picture_do_not_depend_on_the_pictures_beside_it():
    one, other = chances({7: (0, 0.8)}), chances({18: (1, 0.9), 2: (0, 0.7)})
    together = salient_cells(torch.cat([one, other]), 4)
    for row, chance in enumerate((one, other)):
        for both, alone in zip(together, salient_cells(chance, 4), strict=True):
            torch.testing.assert_close(both[row : row + 1], alone)


def test_the_scene_head_finds_what_it_was_trained_on():
    """A feature that stands for a class, planted at one place, becomes the object there."""
    finder = SalientObjects(GalrSettings(labels=3)).eval()
    finder.head.weight.data.zero_()
    finder.head.bias.data.zero_()
    finder.head.weight.data[2, 700] = 5.0
    last = torch.zeros(1, GRID_CELLS, 1024)
    last[0, 3 * GRID + 1, 700] = 2.0
    objects, activation = finder(last)
    assert activation[0].argmax().item() == (3 * GRID + 1) * 3 + 2
    assert objects.rows[0, 0, :3].argmax() == 2
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
    layers = [GraphConvolution(6, 8), GraphConvolution(8, 8)]
    for layer in layers:  # so that no relu hides a move
        layer.weight.weight.data.abs_()
    adjacency = torch.tensor([[[0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1.0]]])
    rows = torch.rand(1, 4, 6)
    changed = rows.clone()
    changed[0, 0] += 1
    for layer, reached in zip(layers, ([True, True, False, False], [True, True, True, False]), strict=True):
        rows, changed = layer(rows, adjacency), layer(changed, adjacency)
        assert (rows != changed).any(2)[0].tolist() == reached
