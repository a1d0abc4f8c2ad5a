import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rs_text_search_plugin.models import checkpoint, devices, registry
from rs_text_search_plugin.models.inference import encoder
from rs_text_search_plugin.models.layers.minilm import SPECIAL
from rs_text_search_plugin.models.layers.resnet50v2 import ResNet50V2, folded_resnet50v2
from rs_text_search_plugin.models.systems import compact
from torch.nn import functional as fn

from rs_text_search_plugin.contracts.errors import ModelError
from rs_text_search_plugin.contracts.protocols import Encoder
from tests.models.made import gluon_tensors

GOLDEN = Path(__file__).with_name("golden.json")
TEXTS = ["storage tanks", "Houses along a road, seen from above"]


def tiles(side=224):
    """Two smooth images, the same on every machine."""
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [np.sin(9 * x + k) * np.cos(7 * y - k) for k in range(6)]
    return (127.5 + 127.5 * np.stack(waves, -1).reshape(side, side, 2, 3).transpose(2, 0, 1, 3)).astype(
        np.uint8
    )


@pytest.fixture(scope="module")
def shipped():
    return registry.load("compact", "cpu")


def test_the_shipped_encoder_keeps_the_contract(shipped):
    assert isinstance(shipped, Encoder)
    assert len(shipped.fingerprint) == 64
    images, texts = shipped.images(tiles()), shipped.texts(TEXTS)
    assert images.shape == texts.shape == (2, shipped.dim)
    assert images.dtype == texts.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([images, texts]), axis=1), 1, atol=1e-5)
    assert shipped.images(tiles()[:0]).shape == shipped.texts([]).shape == (0, shipped.dim)


def test_a_vector_depends_on_its_tile_alone(shipped):
    many = np.concatenate([tiles()] * 9)  # more than a batch
    found = shipped.images(many)
    np.testing.assert_array_equal(found, shipped.images(many))
    np.testing.assert_allclose(found[0], shipped.images(tiles()[:1])[0], atol=1e-3)
    np.testing.assert_allclose(found[0], found[-2], atol=1e-3)


def test_tiles_of_any_size_are_taken(shipped):
    small, large = shipped.images(tiles(96)[:1]), shipped.images(tiles(512)[:1])
    assert float(small[0] @ large[0]) > 0.95


def test_mirrored_views_and_read_only_tiles_are_taken(shipped):
    mirrored = tiles(64)[:, ::-1]
    copied = mirrored.copy()
    copied.setflags(write=False)
    np.testing.assert_array_equal(shipped.images(mirrored), shipped.images(copied))


def test_shipped_vectors_are_what_they_were(shipped):
    """The card's figures belong to these vectors; bf16 and fp32 processors differ by less than this."""
    golden = json.loads(GOLDEN.read_text())
    found = np.concatenate([shipped.images(tiles()), shipped.texts(TEXTS)])
    cosines = (found * np.array(golden["vectors"], np.float32)).sum(1)
    assert cosines.min() > 0.998, "run python -m tests.models.test_compact after changing the weights"


def test_a_change_of_preprocessing_changes_the_fingerprint(shipped):
    path = Path(registry.__file__).parent / "weights" / "compact.safetensors"
    entry = {**registry.entries()["compact"], "name": "compact"}
    assert encoder.fingerprint(entry, path) == shipped.fingerprint
    assert encoder.fingerprint({**entry, "size_px": 224}, path) != shipped.fingerprint


def test_folding_keeps_what_the_batch_norms_did():
    tensors = gluon_tensors()
    network = ResNet50V2().eval()
    network.load_state_dict(folded_resnet50v2(tensors))
    torch.manual_seed(0)
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        middle, last = network(x)
        wanted_middle, wanted_last = unfolded(tensors, x)
    for found, wanted in ((middle, wanted_middle), (last, wanted_last)):
        assert (
            float((found - wanted).norm() / wanted.norm()) < 1e-4
        )  # fp32 rounding through some forty layers


def unfolded(tensors, x):
    """The network as GluonCV writes it, every batch norm in its place."""

    def norm(x, name):
        parts = (
            tensors[f"resnetv24_{name}_{kind}"] for kind in ("running_mean", "running_var", "gamma", "beta")
        )
        return fn.batch_norm(x, *parts)

    def conv(x, name, stride=1):
        weight = tensors[f"resnetv24_{name}_weight"]
        return fn.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    x = (x - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(
        1, 3, 1, 1
    )
    x = fn.max_pool2d(norm(conv(norm(x, "batchnorm0"), "conv0", 2), "batchnorm1").relu(), 3, 2, 1)
    for stage, units in enumerate((3, 4, 6), 1):
        number = 0
        for unit in range(units):
            name, stride = f"stage{stage}", 2 if unit == 0 and stage > 1 else 1
            opened = norm(x, f"{name}_batchnorm{3 * unit}").relu()
            if stage == 3 and unit == 0:
                middle = opened
            y = conv(opened, f"{name}_conv{number}")
            y = conv(norm(y, f"{name}_batchnorm{3 * unit + 1}").relu(), f"{name}_conv{number + 1}", stride)
            y = conv(norm(y, f"{name}_batchnorm{3 * unit + 2}").relu(), f"{name}_conv{number + 2}")
            number += 3
            if unit == 0:
                x = conv(opened, f"{name}_conv{number}", stride)
                number += 1
            x = x + y
    return middle, norm(x, "stage4_batchnorm0").relu()


def test_saving_and_loading_loses_less_than_half_a_step(tmp_path):
    torch.manual_seed(0)
    vocabulary = [*SPECIAL, "water"]
    model = compact.Compact(vocabulary, {"text_layers": 1}).eval()
    checkpoint.save(model, "compact", tmp_path / "m.safetensors")
    again = checkpoint.load(tmp_path / "m.safetensors")
    assert again.settings == model.settings
    assert again.tokenizer.vocabulary == model.tokenizer.vocabulary
    for (name, old), new in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        step = old.flatten(1).abs().amax(1) / 127 if old.dim() > 1 else old.abs() / 1000
        assert (
            bool(((old - new).flatten(1).abs().amax(1) <= 0.51 * step + 1e-6).all())
            if old.dim() > 1
            else True
        ), name
        torch.testing.assert_close(old, new, atol=float(step.max()) + 1e-6, rtol=0)


def test_a_rank_of_zeros_survives_quantising():
    steps, scale = checkpoint.quantise(torch.zeros(2, 5))
    assert steps.abs().max() == 0
    assert torch.isfinite(scale).all()


def test_damaged_weights_are_a_clear_error(tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not a model")
    with pytest.raises(ModelError, match="not a model of this plugin"):
        registry.load(str(broken))


def test_unknown_names_and_devices_say_what_there_is():
    with pytest.raises(ModelError) as error:
        registry.load("no-such-model")
    assert "compact" in error.value.hint
    with pytest.raises(ModelError, match="cuda:77"):
        devices.choose_device("cuda:77")


def test_the_list_of_models_knows_what_is_installed():
    (first, *_) = registry.available()
    assert (first.name, first.installed, first.reranker) == ("compact", True, False)
    assert 1e6 < first.bytes <= 20e6


if __name__ == "__main__":
    fresh = registry.load("compact", "cpu")
    vectors = np.concatenate([fresh.images(tiles()), fresh.texts(TEXTS)])
    GOLDEN.write_text(json.dumps({"fingerprint": fresh.fingerprint, "vectors": vectors.round(5).tolist()}))
