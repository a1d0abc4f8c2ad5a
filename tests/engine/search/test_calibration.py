"""What a score means, and the fit that gives it this meaning."""

from importlib.resources import files

import numpy as np
import pytest
import tomllib
from rs_text_search_plugin.models import registry

from rs_text_search_plugin.engine.search.calibration import (
    DEFAULTS,
    MOST_GAIN,
    Calibration,
    background,
    calibration,
    gain,
    lines,
    percent,
)
from rs_text_search_plugin.engine.search.calibration_fit import (
    LabelledImages,
    figures,
    fit,
    logistic,
    silent_share,
)
from tests.engine.fakes import ColourEncoder
from tests.engine.synthetic import unit

MODEL = Calibration(bias=-5, cosine=10, background=0.5, mean=0.1, spread=0.2, clarity=0.6)


def test_a_line_is_the_formula():
    rng = np.random.default_rng(0)
    tiles, queries = unit(rng.normal(size=(5000, 8))), unit(rng.normal(size=(3, 8)))
    scores = tiles @ queries.T
    trust = 5000 / 5050
    mean = trust * scores.mean(axis=0) + (1 - trust) * 0.1
    spread = trust * scores.std(axis=0) + (1 - trust) * 0.2
    expected = -5 + 12 * scores + 0.5 * (scores - mean) / spread
    for column, line in enumerate(lines(MODEL, queries, tiles, 1.2)):
        assert np.allclose(line.logits(scores[:, column]), expected[:, column], atol=1e-4)
        raw = line.raw(80)
        assert percent(line.logits(np.array([raw], np.float32)))[0] == pytest.approx(80, abs=0.01)


def test_cosines_of_marked_tiles_are_brought_to_the_usual_size():
    rng = np.random.default_rng(0)
    tiles = unit(rng.normal(size=(20_000, 8)) + 1)
    query = unit(np.ones((1, 8)))
    line = lines(MODEL, query, tiles, None)[0]
    logits = line.logits((tiles @ query.T)[:, 0])
    # as if the scores had mean 0.1 and spread 0.2; the background part has mean 0 and spread 0.5
    assert logits.mean() == pytest.approx(-5 + 10 * 0.1, abs=0.05)
    assert logits.std() == pytest.approx(10 * 0.2 + 0.5, rel=0.05)


def test_unknown_models_are_judged_by_the_index_alone():
    assert calibration(ColourEncoder()) == DEFAULTS
    rng = np.random.default_rng(0)
    tiles = rng.normal(0, 0.02, (2000, 4)).astype(np.float32)
    line = lines(DEFAULTS, np.eye(4, dtype=np.float32)[:1], tiles, 1.0)[0]
    scores = percent(line.logits(tiles[:, 0]))
    assert scores.max() < 50
    assert percent(line.logits(np.array([0.2], np.float32)))[0] > 99


def test_gain_makes_up_for_unfamiliar_imagery_within_limits():
    rng = np.random.default_rng(0)
    words = unit(rng.normal(size=(30, 64)))
    clear = unit(words[rng.integers(0, 30, 500)] + rng.normal(0, 0.1, (500, 64)))
    faint = unit(clear + rng.normal(0, 0.12, (500, 64)))
    usual = Calibration(-5, 10, 0, 0, 0.2, clarity=float((clear @ words.T).max(axis=1).mean()))
    assert gain(usual, clear, words) == pytest.approx(1, abs=0.01)
    assert 1.05 < gain(usual, faint, words) < MOST_GAIN
    assert 1 < gain(usual, faint[:5], words) < gain(usual, faint, words)
    assert gain(usual, unit(rng.normal(size=(500, 64))), words) == MOST_GAIN
    assert gain(DEFAULTS, faint, words) == 1


def test_the_background_is_a_spread_out_part():
    vectors = np.arange(50_000, dtype=np.float32)[:, None]
    found = background(vectors)
    assert len(found) <= 20_000
    assert found[0] == 0
    assert found[-1] > 49_000


def test_shipped_constants_belong_to_shipped_weights():
    entries = tomllib.loads(
        files("rs_text_search_plugin.models").joinpath("registry.toml").read_text("utf-8")
    )
    assert entries["compact"]["calibration"]["fingerprint"] == registry.load("compact", "cpu").fingerprint


def test_logistic_regression_finds_known_weights():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40_000, 2))
    y = rng.random(40_000) < 1 / (1 + np.exp(-(2 * x[:, 0] - x[:, 1] - 1)))
    assert np.allclose(logistic(x, y.astype(float)), [2, -1, -1], atol=0.1)


def test_fitted_scores_are_right_and_silent_when_they_should_be():
    rng = np.random.default_rng(0)
    scenes = np.repeat([f"scene {i}" for i in range(8)], 40)
    directions = unit(rng.normal(size=(12, 24)))  # the last four are shown by no picture
    images = unit(directions[:8].repeat(40, axis=0) + rng.normal(0, 0.25, (320, 24)))
    yes = np.stack([scenes == f"scene {i}" for i in range(12)])
    pictures = LabelledImages(directions, images, yes, ~yes, scenes, directions)
    model = fit(pictures, count=12)
    found = figures(model, pictures, count=12)
    assert silent_share(model, pictures, 12, 1) >= 0.93
    assert found["right_above_80"] > 0.9
    assert found["found_when_present"] > 0.7
