import pytest
import torch
from rs_text_search_plugin.models.layers.mobilenetv2 import LAST, MIDDLE, Conv, MobileNetV2, from_tf2
from torch.nn import functional as fn

from tests.models.made import tf2_tensors


@pytest.fixture(scope="module")
def network():
    made = MobileNetV2().eval()
    made.load_state_dict(from_tf2(tf2_tensors()))
    return made


def test_it_gives_two_maps(network):
    with torch.inference_mode():
        middle, last = network(torch.rand(2, 3, 96, 64))
    assert middle.shape == (2, MIDDLE, 6, 4)
    assert last.shape == (2, LAST, 3, 2)
    assert last.min() >= 0
    assert last.max() <= 6


def test_a_picture_is_seen_the_same_in_any_company(network):
    x = torch.rand(20, 3, 64, 64)
    with torch.inference_mode():
        for together, alone in zip(network(x), network(x[17:18]), strict=True):
            assert (together[17:18] - alone).norm() < 1e-4 * alone.norm()


def test_halving_pads_below_and_to_the_right():
    conv = Conv(1, 1, 3, 2)
    x = torch.rand(1, 1, 8, 8)
    with torch.no_grad():
        found = conv(x)[0, 0, 0, 0]
        expected = fn.relu6((x[0, 0, :3, :3] * conv.weight[0, 0]).sum() + conv.bias[0])
    assert found.shape == ()
    torch.testing.assert_close(found, expected)


def test_every_tensor_finds_its_place():
    tensors = tf2_tensors()
    state = from_tf2(tensors)
    assert len(state) == len(tensors) == len(MobileNetV2().state_dict())
    assert torch.equal(state["blocks.0.spatial.weight"], tensors["features.1.conv.0.0.weight"])
    assert torch.equal(state["blocks.1.project.bias"], tensors["features.2.conv.2.bias"])
    assert torch.equal(state["close.weight"], tensors["features.18.0.weight"])
