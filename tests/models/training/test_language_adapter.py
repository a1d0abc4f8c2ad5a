"""A language adapter learns to put sentences where their English is, and is kept in a file."""

import numpy as np
import pytest
from rs_text_search_plugin.models.inference import language_adapter
from rs_text_search_plugin.models.training.language_adapter import Examples, FitSettings, fit

from rs_text_search_plugin.contracts.errors import ModelError
from tests.engine.fakes import ColourEncoder

SIZES = {"sentence": 24, "vector": 16, "examples": 120}
QUICK = FitSettings(keys=20, steps=300, batch=32)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    sentences = unit(rng.normal(size=(SIZES["examples"], SIZES["sentence"])))
    vectors = unit(sentences @ rng.normal(size=(SIZES["sentence"], SIZES["vector"])))
    examples = Examples(sentences, vectors, np.ones(len(sentences), dtype=np.float32))
    probes = ColourEncoder().texts(list(language_adapter.PROBES))
    return fit(examples, sentences, probes, QUICK), examples


def test_sentences_come_near_their_english(fitted):
    adapter, examples = fitted
    found = adapter(examples.sentences)
    assert found.shape == examples.vectors.shape
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert float((found * examples.vectors).sum(axis=1).mean()) > 0.9


def test_it_is_read_as_it_was_written_to_16_bits(fitted, tmp_path):
    adapter, examples = fitted
    path = tmp_path / "a.safetensors"
    adapter.save(path, "f" * 64)
    again = language_adapter.load(path)
    assert np.allclose(again(examples.sentences), adapter(examples.sentences), atol=0.01)


def test_it_belongs_to_its_own_text_tower_only(fitted):
    adapter, _ = fitted
    assert adapter.fits(ColourEncoder())
    assert not adapter.fits(ColourEncoder(dim=17))
    other = ColourEncoder()
    other.texts = lambda texts: np.roll(ColourEncoder().texts(texts), 1, axis=1)
    assert not adapter.fits(other)


def test_a_damaged_file_says_so(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="damaged"):
        language_adapter.load(path)
