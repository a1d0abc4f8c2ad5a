import numpy as np
import pytest
import torch
from rs_text_search_plugin.models.label_prompts import label_prompts, synthetic_descriptions
from rs_text_search_plugin.models.layers.losses import info_nce, triplet
from rs_text_search_plugin.models.training import pairs
from rs_text_search_plugin.models.training.datasets import Dataset, ImageStore, Row
from rs_text_search_plugin.models.training.recipe import Recipe, lr_factor


@pytest.fixture
def found():
    rows = (
        Row("0", "train", "port", ("many boats .", "a port"), ("some boats",)),
        Row("1", "train", "harbor", ("many boats .",)),
        Row("2", "train", "forest", ("dark trees",)),
        Row("3", "train", "ship", ()),
        Row("4", "val", "forest", ("never learnt",)),
    )
    return pairs.training_pairs([Dataset("d", rows, ImageStore([]))])


def test_only_the_train_split_is_learnt(found):
    assert [item.row for item in found.items] == [0, 1, 2, 3]
    assert "never learnt" not in found.texts


def test_a_text_is_one_number_however_many_pictures_share_it(found):
    assert found.texts.count("many boats .") == 1
    assert found.items[0].captions[0] == found.items[1].captions[0]


def test_the_same_text_on_another_picture_is_left_out_of_the_loss(found):
    boats = found.items[0].captions[0]
    drawn = [boats, boats, found.items[2].captions[0]]
    left_out = pairs.ignore_mask(found.items[:3], drawn, found, found.shared_names())
    assert left_out.tolist() == [[False, True, False], [True, False, False], [False, False, False]]


def test_a_caption_that_another_picture_also_has_is_no_negative_for_it(found):
    port, harbour = found.items[:2]
    drawn = [port.captions[1], harbour.captions[0]]  # the second is a caption of both
    left_out = pairs.ignore_mask([port, harbour], drawn, found, found.shared_names())
    assert left_out.tolist() == [[False, True], [False, False]]


def test_the_name_of_a_scene_is_no_negative_for_pictures_of_scenes_called_alike(found):
    port, forest = found.items[0], found.items[2]
    harbour = found.items[1].label_texts[0]
    drawn = [port.captions[1], harbour, forest.captions[0]]
    left_out = pairs.ignore_mask([port, found.items[1], forest], drawn, found, found.shared_names())
    assert left_out.tolist() == [[False, True, False], [False, False, False], [False, False, False]]


def test_left_out_pairs_do_not_move_the_loss():
    torch.manual_seed(0)
    images, texts = torch.nn.functional.normalize(torch.randn(2, 4, 8), dim=2)
    left_out = torch.zeros(4, 4, dtype=torch.bool)
    left_out[0, 1] = left_out[1, 0] = True
    before = info_nce(images, texts, torch.tensor(10.0), left_out)
    swapped = texts.clone()
    swapped[1] = images[0]  # now text 1 fits image 0 perfectly, which only the pair (0, 1) may tell
    plain = torch.zeros(4, 4, dtype=torch.bool)
    row = info_nce(images, swapped, torch.tensor(10.0), plain)
    assert info_nce(images, swapped, torch.tensor(10.0), left_out) < row
    assert before > 0


def test_pictures_without_captions_are_drawn_by_their_names(found):
    rng = np.random.default_rng(0)
    recipe = Recipe(uncaptioned=1.0, batch_size=4)
    ship = found.items[3]
    assert all(pairs.draw_text(ship, recipe, rng) in ship.label_texts for _ in range(20))
    (batch,) = pairs.epoch_batches(found, recipe, rng)
    assert {item.row for item in batch} == {0, 1, 2, 3}


def test_shares_of_texts_follow_the_recipe(found):
    rng = np.random.default_rng(0)
    item = found.items[0]
    drawn = [pairs.draw_text(item, Recipe(own_captions=0.5, label_texts=0.2), rng) for _ in range(2000)]
    assert np.isin(drawn, item.captions).mean() == pytest.approx(0.5, abs=0.05)
    assert np.isin(drawn, item.label_texts).mean() == pytest.approx(0.2, abs=0.05)


def test_the_rate_rises_then_falls():
    rates = [lr_factor(Recipe(), step, 100) for step in range(100)]
    assert rates[0] < rates[5]
    assert max(rates) < 1.0
    assert rates[-1] < 0.02


def test_own_texts_are_plain_and_repeatable():
    assert synthetic_descriptions(50, np.random.default_rng(1)) == synthetic_descriptions(
        50, np.random.default_rng(1)
    )
    assert all(
        "{" not in text and "  " not in text for text in synthetic_descriptions(200, np.random.default_rng(2))
    )
    assert "harbor" in label_prompts().same_name["port"]
    assert "forest" not in label_prompts().same_name["port"]


def test_the_triplet_loss_is_its_formula():
    torch.manual_seed(0)
    images, texts = torch.nn.functional.normalize(torch.randn(2, 5, 8), dim=2)
    left_out = torch.zeros(5, 5, dtype=torch.bool)
    left_out[3, 1] = True
    wanted = 0.0
    for i in range(5):
        for j in range(5):
            if i != j and not left_out[i, j]:
                own_i, own_j = float(images[i] @ texts[i]), float(images[j] @ texts[j])
                other = float(images[i] @ texts[j])
                wanted += max(0.0, 0.2 + other - own_i) + max(0.0, 0.2 + other - own_j)
    assert float(triplet(images, texts, 0.2, left_out)) == pytest.approx(wanted / 5, rel=1e-5)
