"""All scores of an index: the exact product, and the half-precision short cut of large indexes."""

import faiss
import numpy as np
import pytest

from rs_text_search_plugin.engine.search import scoring as vectors
from rs_text_search_plugin.engine.search.scoring import all_scores, exact
from tests.engine.synthetic import SyntheticIndex, checkerless, unit


@pytest.fixture
def index(tmp_path):
    rng = np.random.default_rng(0)
    return SyntheticIndex(unit(rng.normal(size=(40_000, 16))), checkerless(200, 200), folder=tmp_path)


@pytest.fixture
def query(index):
    return index.vectors[123]


def test_the_product_is_exact(index, query):
    assert np.allclose(exact(index.vectors, query), index.vectors @ query, atol=1e-6)
    assert np.array_equal(all_scores(index, query, 0.5), exact(index.vectors, query))
    assert exact(index.vectors[:0], query).shape == (0,)


def test_a_large_index_gives_the_same_scores_above_the_floor(index, query, monkeypatch):
    monkeypatch.setattr(vectors, "EXACT_TILES", 1000)
    truth = exact(index.vectors, query)
    found = all_scores(index, query, 0.6)
    above = truth > 0.6
    assert 10 < above.sum() < 2000
    assert np.allclose(found[above], truth[above], atol=1e-6)
    assert (found[~above] <= np.float32(0.6)).all()
    assert (index.folder / "vectors-parts.faiss").is_file()


def test_the_short_cut_is_kept_on_disk_and_made_again_after_the_index_changed(index, query, monkeypatch):
    monkeypatch.setattr(vectors, "EXACT_TILES", 1000)
    all_scores(index, query, 0.6)
    file = index.folder / "vectors-parts.faiss"
    monkeypatch.setattr(vectors, "_opened", {})
    with monkeypatch.context() as sealed:
        sealed.setattr(vectors, "_build", None)
        assert all_scores(index, query, 0.6).argmax() == 123
    file.write_bytes(b"damaged")
    monkeypatch.setattr(vectors, "_opened", {})
    assert all_scores(index, query, 0.6).argmax() == 123
    assert faiss.read_index(str(file)).ntotal == 40_000


def test_a_query_that_most_tiles_pass_is_scored_exactly(index, query, monkeypatch):
    monkeypatch.setattr(vectors, "EXACT_TILES", 1000)
    assert np.array_equal(all_scores(index, query, -0.5), exact(index.vectors, query))
    assert not (index.folder / "vectors-parts.faiss").exists()
