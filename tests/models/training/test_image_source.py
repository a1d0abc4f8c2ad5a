import numpy as np
import pytest
import torch
from PIL import Image
from rs_text_search_plugin.models.inference import runtime
from rs_text_search_plugin.models.layers.resnet50v2 import ResNet50V2
from rs_text_search_plugin.models.training import image_source
from rs_text_search_plugin.models.training.augment import augmented
from rs_text_search_plugin.models.training.image_source import TunedBackboneSource

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return ResNet50V2().eval()


@pytest.fixture(scope="module")
def tiles():
    return np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)


@pytest.mark.skipif(bool(runtime.why_no_openvino()), reason=runtime.why_no_openvino())
def test_the_fast_front_sees_what_torch_sees(backbone, tiles):
    found, wanted = (
        image_source.OpenVinoFrozenStem(backbone)(tiles),
        image_source.TorchFrozenStem(backbone, CPU)(tiles),
    )
    assert found.shape == wanted.shape == (3, 512, 8, 8)
    assert (found.float() - wanted.float()).norm() < 0.03 * wanted.float().norm()


def test_only_what_follows_the_front_learns(backbone, tiles, monkeypatch):
    monkeypatch.setattr(image_source, "CHUNK", 2)
    pictures = TunedBackboneSource([], backbone)
    with torch.autocast("cpu", torch.bfloat16):
        maps = pictures.maps(tiles)
    assert maps.last.shape == (3, 4, 1024)
    maps.last.float().square().sum().backward()
    image_parameters = {
        name.split(".")[1]
        for name, p in backbone.stages.named_parameters(prefix="stages")
        if p.grad is not None
    }
    assert image_parameters == {"2"}
    assert backbone.stem.weight.grad is None


def test_views_keep_their_size_whatever_is_done_to_them():
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (50, 70, 3)).astype(np.uint8))
    assert {augmented(picture, rng, 96).shape for _ in range(60)} == {(96, 96, 3)}
