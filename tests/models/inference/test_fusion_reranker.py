import numpy as np
import pytest
import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.inference import fusion_reranker as filtering
from rs_text_search_plugin.models.inference.fusion_reranker import (
    FusionReranker,
    PairScorer,
    load,
    rerank_top_k,
)
from rs_text_search_plugin.models.layers.minilm import SPECIAL
from rs_text_search_plugin.models.layers.mobilenetv2 import from_tf2
from rs_text_search_plugin.models.systems.base import INPUT_PX
from rs_text_search_plugin.models.systems.mtgfe import Mtgfe
from safetensors.torch import load_file

from rs_text_search_plugin.contracts.errors import ModelError
from rs_text_search_plugin.contracts.protocols import Reranker
from tests.models.made import tf2_tensors

VOCABULARY = [*SPECIAL, "red", "blue", "roof"]
TEXTS = ["red roof", "blue roof", "roof", "red"]
TOWERS = {"text_layers": 1, "width": 48, "heads": 4, "dim": 16}
SETTINGS = {"towers": TOWERS, "width": 32, "heads": 4, "dim": 16, "layers": 2}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def system():
    """A fusion system with random weights, spread so that pairs differ."""
    torch.manual_seed(0)
    made = Mtgfe(VOCABULARY, SETTINGS).eval()
    made.image_encoder.load_state_dict(from_tf2(tf2_tensors()))
    torch.nn.init.normal_(made.belongs.weight, std=1)
    return made


@pytest.fixture(scope="module")
def tiles():
    draw = np.random.default_rng(0)
    tints = draw.integers(0, 200, (5, 1, 1, 3))
    return (tints + draw.integers(0, 56, (5, 48, 64, 3))).astype(np.uint8)


def matrices(n=6, m=9):
    draw = np.random.default_rng(1)
    first, full = draw.normal(size=(2, n, m)).astype(np.float32)
    return first, full, lambda queries, candidates: full[queries, candidates]


@pytest.mark.parametrize("k", [9, 50])
def test_filtering_all_equals_full_scoring(k):
    first, full, score = matrices()
    assert np.array_equal(rerank_top_k(first, score, k), full)
    np.testing.assert_allclose(rerank_top_k(first, score, k, mix=2.0), full + 2 * first, rtol=1e-6)


def test_the_proposed_are_sorted_again_and_the_rest_stays_behind():
    first, full, score = matrices()
    found = rerank_top_k(first, score, 4)
    for before, fused, after in zip(first, full, found, strict=True):
        proposed, rest = np.split(np.argsort(-before), [4])
        order = np.argsort(-after)
        assert order[:4].tolist() == proposed[np.argsort(-fused[proposed])].tolist()
        assert order[4:].tolist() == rest.tolist()


def test_only_the_proposed_are_scored_and_each_once():
    first, full, _ = matrices()
    asked = []

    def score(queries, candidates):
        asked.extend(zip(queries.tolist(), candidates.tolist(), strict=True))
        return full[queries, candidates]

    rerank_top_k(first, score, 3)
    best = {(query, c) for query, row in enumerate(first) for c in np.argsort(-row)[:3].tolist()}
    assert len(asked) == len(best)
    assert set(asked) == best


def test_candidates_that_tie_still_tie():
    first = np.array([[3, 3, 2, 1, 1]], np.float32)
    found = rerank_top_k(first, lambda _, candidates: (candidates > 1).astype(np.float32), 3)[0]
    assert found[2] > found[0] == found[1] > found[3] == found[4]


def test_both_directions_ask_for_the_same_pairs(system, tiles):
    with torch.inference_mode():
        keys = system.image_keys(system.encode_image(torch.rand(5, 3, INPUT_PX, INPUT_PX)))
        full = torch.stack([system.pair_logits(keys, [text] * 5) for text in TEXTS], 1).numpy()
    scores = PairScorer(system, keys, TEXTS)
    first = np.zeros((5, 4), np.float32)
    assert len(np.unique(full)) == 20
    # where the processor has bf16 the pairs are scored in it
    np.testing.assert_allclose(rerank_top_k(first, scores, 4), full, atol=0.1)
    np.testing.assert_allclose(rerank_top_k(first.T, scores.by_text, 5).T, full, atol=0.1)


def test_many_pairs_are_scored_batch_by_batch(system, monkeypatch):
    monkeypatch.setattr(filtering, "PAIRS_PER_BATCH", 3)
    keys = system.image_keys(system.encode_image(torch.rand(4, 3, INPUT_PX, INPUT_PX)))
    read = []
    monkeypatch.setattr(system, "read", lambda texts: read.extend(texts) or Mtgfe.read(system, texts))
    pictures, texts = np.array([0, 1, 2, 3, 0, 1]), np.array([1, 0, 1, 0, 0, 1])
    found = PairScorer(system, keys, TEXTS)(pictures, texts)
    assert sorted(read) == ["blue roof", "red roof"]
    alone = [PairScorer(system, keys, TEXTS)(pictures[i : i + 1], texts[i : i + 1])[0] for i in range(6)]
    np.testing.assert_allclose(found, alone, atol=0.1)
    assert len(np.unique(found)) == 6


def test_pairs_that_read_alike_are_scored_once(system, monkeypatch):
    keys = system.image_keys(system.encode_image(torch.rand(2, 3, INPUT_PX, INPUT_PX)))
    scored = []
    monkeypatch.setattr(
        system, "pair_logits", lambda k, texts: scored.extend(texts) or Mtgfe.pair_logits(system, k, texts)
    )
    found = PairScorer(system, keys, ["roof", "red roof", "roof"])(
        np.array([0, 0, 0, 1]), np.array([0, 1, 2, 2])
    )
    assert scored == ["roof", "roof", "red roof"]
    assert found[0] == found[2] != found[3]


def test_the_reranker_keeps_to_the_engines_protocol(system, tiles, monkeypatch):
    monkeypatch.setattr(filtering, "BATCH", {"cpu": 2})
    reranker = FusionReranker("mtgfe", system, "cpu", {"slope": 0.1})
    assert isinstance(reranker, Reranker)
    found = reranker.pairs("red roof", tiles)
    assert found.shape == (5,)
    assert found.dtype == np.float32
    assert ((found > 0) & (found < 1)).all()
    assert len(np.unique(found)) == 5
    alone = np.concatenate([reranker.pairs("red roof", tile[None]) for tile in tiles])
    np.testing.assert_allclose(found, alone, atol=0.02)
    assert reranker.pairs("red roof", tiles[:0]).shape == (0,)


def test_constants_move_the_probability(system, tiles):
    def logits(**constants):
        p = FusionReranker("mtgfe", system, "cpu", constants).pairs("roof", tiles).astype(np.float64)
        return np.log(p / (1 - p))

    np.testing.assert_allclose(logits(slope=0.05, offset=1.0), 0.5 * logits(slope=0.1) + 1, atol=1e-3)


def test_saved_weights_load_as_a_reranker(system, tiles, tmp_path):
    path = tmp_path / "mtgfe.safetensors"
    checkpoint.save(system, "mtgfe", path)
    entry = {"name": "mtgfe", "rerank": {"slope": 0.5}}
    assert load_file(path)["image_encoder.close.weight"].dtype == torch.float16
    again = load(entry, path, "cpu")
    assert (again.name, again.slope) == ("mtgfe", 0.5)
    expected = FusionReranker("mtgfe", system, "cpu", entry["rerank"]).pairs("red roof", tiles)
    np.testing.assert_allclose(again.pairs("red roof", tiles), expected, atol=0.1)


def test_a_model_without_a_fusion_encoder_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoint, "load", lambda _: torch.nn.Identity())
    with pytest.raises(ModelError, match="cannot rerank"):
        load({"name": "galr"}, tmp_path / "any", "cpu")
