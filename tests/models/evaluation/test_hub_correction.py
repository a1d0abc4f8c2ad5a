import numpy as np
import pytest
import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.evaluation.hub_centres import find_hub_centres
from rs_text_search_plugin.models.evaluation.hub_correction import (
    BETA,
    IMAGE_WEIGHT,
    TEXT_WEIGHT,
    hubness,
    read_hub_centres,
)
from rs_text_search_plugin.models.registry import weights_of


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def made():
    """Images and texts around a common direction, some nearer to it than others, and their centres."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=32)
    images, texts = (unit(common * rng.random((300, 1)) + rng.normal(size=(300, 32))) for _ in range(2))
    return images, texts, find_hub_centres(images, texts, count=40)


def test_hubness_is_subtracted_with_its_weights(made):
    images, texts, centres = made
    b = hubness(images, centres.texts, centres.text_shares)
    c = hubness(texts, centres.images, centres.image_shares)
    expected = images @ texts.T - IMAGE_WEIGHT * b[:, None] - TEXT_WEIGHT * c[None]
    np.testing.assert_allclose(centres.similarity(images, texts), expected, atol=1e-6)


def test_hubs_no_longer_come_first_everywhere(made):
    images, texts, centres = made

    def most(similarity):
        """How many columns have the same row among their first ten, at most."""
        return np.bincount(np.argsort(-similarity, axis=0)[:10].ravel()).max()

    plain, corrected = images @ texts.T, centres.similarity(images, texts)
    assert most(corrected) < 0.9 * most(plain)
    assert most(corrected.T) < 0.7 * most(plain.T)


def test_other_queries_change_nothing(made):
    images, texts, centres = made
    whole = centres.similarity(images, texts)
    np.testing.assert_allclose(centres.similarity(images[3:5], texts[7:8]), whole[3:5, 7:8], atol=1e-6)


def test_hubness_is_the_soft_maximum():
    rng = np.random.default_rng(0)
    bank, shares = unit(rng.normal(size=(2, 8))), np.array([0.25, 0.75], np.float32)
    vector = unit(rng.normal(size=(1, 8)))
    expected = np.log((shares * np.exp(BETA * (vector @ bank.T))).sum()) / BETA
    np.testing.assert_allclose(hubness(vector, bank, shares), [expected], rtol=1e-5)


def test_shares_of_the_centres_sum_to_one(made):
    assert made[2].text_shares.sum() == pytest.approx(1)
    assert made[2].image_shares.sum() == pytest.approx(1)


@pytest.fixture
def file(tmp_path):
    system = checkpoint.build("compact", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "roof"], {"text_layers": 1})
    checkpoint.save(system, "compact", tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_a_file_without_centres_has_none(file):
    assert read_hub_centres(file) is None


def test_centres_are_read_back_from_the_file_that_got_them(file, made):
    before = checkpoint.load(file).state_dict()
    checkpoint.replace_tensors(
        file, {f"hubs.{name}": torch.from_numpy(v) for name, v in vars(made[2]).items()}
    )
    again = read_hub_centres(file)
    np.testing.assert_allclose(again.texts, made[2].texts, atol=2e-3)
    np.testing.assert_allclose(again.image_shares, made[2].image_shares, atol=2e-3)
    after = checkpoint.load(file).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_shipped_file_keeps_its_centres():
    centres = read_hub_centres(weights_of("compact"))
    assert centres.texts.shape == centres.images.shape == (128, 384)
