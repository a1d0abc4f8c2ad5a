import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rs_text_search_plugin.models import registry
from torch import nn

from rs_text_search_plugin.contracts.errors import ModelError


class Tiny(nn.Module):
    """open_clip's surface on two small layers; QuickGELU shows in its output."""

    def __init__(self, quick):
        super().__init__()
        self.picture, self.words, self.quick = nn.Linear(3, 8), nn.Embedding(300, 8), quick

    def _bend(self, x):
        return x * torch.sigmoid(1.702 * x) if self.quick else nn.functional.gelu(x)

    def encode_image(self, x):
        return self._bend(self.picture(x.mean((2, 3))))

    def encode_text(self, ids):
        return self._bend(self.words(ids).mean(1))


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A checkpoint with the wrappers of a training script, its own .toml entry, and a stand-in for open_clip."""

    def create_model(arch, pretrained, force_quick_gelu):
        return Tiny(force_quick_gelu)

    def tokens(texts):
        return torch.tensor([[ord(c) for c in text.ljust(12)[:12]] for text in texts])

    stub = SimpleNamespace(create_model=create_model, get_tokenizer=lambda arch: tokens)
    monkeypatch.setitem(sys.modules, "open_clip", stub)
    torch.manual_seed(0)
    state = {f"module.{name}": value for name, value in Tiny(True).state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "tiny.pt")
    return tmp_path / "tiny.toml"


def entry(path, quick="true", file="tiny.pt"):
    path.write_text(
        f'kind = "clip"\ntitle = "Tiny"\nfile = "{file}"\narch = "T"\nquick_gelu = {quick}\ndim = 8\nsize_px = 16\n'
        "mean = [0.5, 0.5, 0.5]\nstd = [0.2, 0.2, 0.2]\n"
    )
    return str(path)


def test_an_own_checkpoint_is_an_encoder(checkpoint):
    encoder = registry.load(entry(checkpoint), "cpu")
    tiles = np.random.default_rng(0).integers(0, 255, (3, 20, 30, 3), dtype=np.uint8)
    vectors = np.concatenate([encoder.images(tiles), encoder.texts(["tank", "ship"])])
    assert (encoder.name, encoder.dim, vectors.shape) == ("tiny", 8, (5, 8))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_activation_comes_from_the_entry_and_matters(checkpoint):
    quick = registry.load(entry(checkpoint), "cpu")
    plain = registry.load(entry(checkpoint, quick="false"), "cpu")
    assert quick.fingerprint != plain.fingerprint
    assert np.abs(quick.texts(["tank"]) - plain.texts(["tank"])).max() > 1e-4


def test_weights_that_do_not_fit_are_refused(checkpoint):
    torch.save({"picture.weight": torch.zeros(8, 3)}, checkpoint.with_name("part.pt"))
    with pytest.raises(ModelError, match="does not fit"):
        registry.load(entry(checkpoint, file="part.pt"), "cpu")


def test_without_open_clip_the_error_says_what_to_install(checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ModelError) as error:
        registry.load(entry(checkpoint), "cpu")
    assert "pip install open_clip_torch" in error.value.hint


@pytest.fixture
def own(checkpoint, monkeypatch):
    """The folder in which a person keeps models of their own."""
    monkeypatch.setattr("rs_text_search_plugin.models.files.cache_folder", lambda kind: checkpoint.parent)
    return checkpoint.parent


def test_own_models_are_listed_and_known_by_name(own):
    entry(own / "mine.toml")
    listed = registry.available()[-1]
    assert (listed.name, listed.title, listed.installed) == ("mine", "Tiny", True)
    assert registry.load("mine", "cpu").name == "mine"
    assert registry.constants("mine") == {}


def test_an_own_model_brings_its_own_constants(own):
    entry(own / "mine.toml")
    with (own / "mine.toml").open("a") as file:
        file.write("[calibration]\nbias = -3.0\n")
    assert registry.constants("mine") == {"bias": -3.0}


def test_the_list_says_what_an_own_model_lacks(own):
    (own / "mine.toml").write_text('kind = "clip"\ntitle = "Mine"\nfile = "tiny.pt"\n')
    (own / "broken.toml").write_text("kind = ")
    broken, mine = registry.available()[-2:]
    assert not mine.installed
    assert "dim, size_px, arch, quick_gelu, mean, std" in mine.summary
    assert "broken.toml cannot be read" in broken.summary
    with pytest.raises(ModelError, match="does not say: dim"):
        registry.load("mine", "cpu")


def test_an_own_model_does_not_hide_one_of_ours(own):
    entry(own / "compact.toml")
    assert registry.load("compact", "cpu").dim > 8
