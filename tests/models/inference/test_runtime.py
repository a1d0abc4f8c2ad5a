import copy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from rs_text_search_plugin.models import checkpoint, registry
from rs_text_search_plugin.models.inference import activation_ranges, runtime
from rs_text_search_plugin.models.inference.encoder import SystemTowers, resized
from rs_text_search_plugin.models.inference.runtime import RuntimeChoice
from rs_text_search_plugin.models.layers.minilm import SPECIAL
from rs_text_search_plugin.models.layers.resnet50v2 import ResNet50V2, folded_resnet50v2, network_input
from rs_text_search_plugin.models.systems.base import INPUT_PX
from rs_text_search_plugin.models.systems.compact import Compact
from torch.nn import functional as fn

from tests.bench.encoder import photo_tiles
from tests.models.made import fitted_backbone, gluon_tensors
from tests.models.systems.test_compact import tiles as waves

CPU = torch.device("cpu")
needs_openvino = pytest.mark.skipif(bool(runtime.why_no_openvino()), reason=runtime.why_no_openvino())
needs_int8 = pytest.mark.skipif(not runtime.has_int8(), reason="this CPU has no products of 8 bits")


@pytest.fixture(scope="module")
def tiles():
    """Images of patches, some coarse and some fine."""
    draw = np.random.default_rng(0)
    sides = (2, 5, 10, 20, 40)
    patches = [
        draw.integers(0, 256, (side, side, 3)).repeat(160 // side, 0).repeat(160 // side, 1) for side in sides
    ]
    return torch.from_numpy(np.stack(patches).astype(np.uint8))


@pytest.fixture(scope="module")
def backbone(tiles):
    """Random weights that know their peaks."""
    made = ResNet50V2().eval()
    x = tiles.permute(0, 3, 1, 2) / 255
    made.load_state_dict(folded_resnet50v2(fitted_backbone(gluon_tensors(), x)))
    made.activation_ranges.copy_(activation_ranges.measure(made, [x]))
    return made


@pytest.fixture
def look(backbone, tiles):
    """Maps of the tiles by a runtime in a precision."""

    def maps(name, precision):
        with torch.inference_mode():
            return runtime.backbone_runner(copy.deepcopy(backbone), CPU, RuntimeChoice(name, precision, ""))(
                tiles
            )

    return maps


def similarity(found, wanted):
    """Cosine (n,) of each image's map."""
    return fn.cosine_similarity(found.flatten(1), wanted.flatten(1))


@needs_openvino
def test_the_graph_computes_what_torch_does(look):
    for found, wanted in zip(look("OpenVINO", "fp32"), look("torch", "fp32"), strict=True):
        assert found.shape == wanted.shape
        assert float((found - wanted).norm() / wanted.norm()) < 1e-4


@needs_openvino
@needs_int8
def test_eight_bits_are_used_and_cost_little(look, backbone, tiles):
    for found, wanted in zip(look("OpenVINO", "int8"), look("torch", "fp32"), strict=True):
        assert 0.99 < float(similarity(found, wanted).min()) < 0.99999
    backbone_runner = runtime.backbone_runner(backbone, CPU, RuntimeChoice("OpenVINO", "int8", ""))
    backbone_runner(tiles[:1])
    steps = backbone_runner.queues[160][0].get_compiled_model().get_runtime_model().get_ops()
    about = [step.get_rt_info() for step in steps]
    kinds = [info["runtimePrecision"].value for info in about if info["layerType"].value == "Convolution"]
    assert [kind in ("i8", "u8") for kind in kinds].count(False) == 1, kinds  # the stem


def test_vectors_agree_whatever_computed_them():
    """An index made by one runtime is searched by another: the fingerprint does not name it."""
    ways = [RuntimeChoice("torch", "bf16", "")]
    if not runtime.why_no_openvino():
        ways += [RuntimeChoice("OpenVINO", precision, "") for precision in ("fp32", "bf16", "int8")]

    def vectors(choice):
        system = checkpoint.load(registry.weights_of("compact"))
        assert system.backbone.activation_ranges.all()
        pictures = np.concatenate([photo_tiles(4, INPUT_PX), waves(INPUT_PX)])
        with torch.inference_mode(), runtime.inference_autocast(CPU):
            return SystemTowers(system, CPU, choice).images(torch.from_numpy(pictures))

    wanted = vectors(RuntimeChoice("torch", "fp32", ""))
    for choice in ways:
        assert float((vectors(choice) * wanted).sum(1).min()) > 0.999, choice


@needs_openvino
def test_maps_keep_the_order_of_their_tiles_when_several_ask_at_once(backbone, tiles):
    backbone_runner = runtime.backbone_runner(
        copy.deepcopy(backbone), CPU, RuntimeChoice("OpenVINO", "fp32", "")
    )
    wanted = [backbone_runner(tile[None]).last[0] for tile in tiles]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(backbone_runner, [tiles, tiles.flip(0)]))
    torch.testing.assert_close(both[0].last, torch.stack(wanted))
    torch.testing.assert_close(both[1].last, torch.stack(wanted[::-1]))
    assert backbone_runner(tiles[:0]).middle.shape == (0, 25, 512)


def test_the_choice_says_why(monkeypatch):
    monkeypatch.setattr(runtime, "why_no_openvino", lambda: "")
    monkeypatch.setattr(runtime, "has_int8", lambda: True)
    monkeypatch.setattr(runtime, "has_bf16", lambda device: False)
    assert str(runtime.choose_runtime(CPU, measured=True)) == "OpenVINO int8: this CPU has products of 8 bits"
    assert (
        str(runtime.choose_runtime(CPU, measured=False))
        == "OpenVINO fp32: the model has no activation ranges"
    )
    assert runtime.choose_runtime(torch.device("cuda"), measured=True).precision == "fp16"
    monkeypatch.setattr(runtime, "has_int8", lambda: False)
    assert runtime.choose_runtime(CPU, measured=True).precision == "fp32"
    monkeypatch.setattr(runtime, "why_no_openvino", lambda: "it is elsewhere")
    monkeypatch.setattr(runtime, "has_bf16", lambda device: True)
    assert str(runtime.choose_runtime(CPU, measured=True)) == "torch bf16: it is elsewhere"


def test_without_openvino_torch_does_it_and_says_so(monkeypatch, backbone, tiles):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "rs_text_search_plugin.models.inference.openvino_graph", raising=False)
    monkeypatch.delattr("rs_text_search_plugin.models.inference.openvino_graph", raising=False)
    runtime.why_no_openvino.cache_clear()
    try:
        backbone_runner = runtime.backbone_runner(copy.deepcopy(backbone), CPU)
    finally:
        runtime.why_no_openvino.cache_clear()
    assert backbone_runner.about.startswith("torch ")
    assert "openvino" in backbone_runner.about
    assert backbone_runner(tiles[:1]).last.shape == (1, 25, 1024)


def test_only_x86_runs_openvino(monkeypatch):
    monkeypatch.setattr(runtime.platform, "machine", lambda: "arm64")
    runtime.why_no_openvino.cache_clear()
    try:
        assert "arm64" in runtime.why_no_openvino()
    finally:
        runtime.why_no_openvino.cache_clear()


@needs_openvino
def test_openvino_reports_to_nobody(tmp_path):
    """Its Python package sends a message when imported, if openvino_telemetry is installed."""
    spy = tmp_path / "openvino_telemetry"
    spy.mkdir()
    (spy / "__init__.py").write_text(f"open({str(tmp_path / 'told')!r}, 'w').close()\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
    code += "import rs_text_search_plugin.models.inference.openvino_graph, openvino"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not (tmp_path / "told").exists()


@pytest.mark.parametrize(("many", "largest", "cut"), [(5_000, 4.0, False), (500_000, 1.5, True)])
def test_the_peak_is_where_cutting_and_rounding_do_the_least_harm(many, largest, cut):
    """One value apart from all others is worth a coarser step if they are few."""
    values = torch.cat([torch.linspace(0, 1, many), torch.tensor([largest])])

    def harm(peak):
        return float(((values / peak * 255).round().clamp(max=255) * peak / 255 - values).square().sum())

    found = float(activation_ranges.best_range(values))
    assert (found < largest) == cut
    assert harm(found) <= min(harm(largest * part / 40) for part in range(1, 41)) * 1.0001


def test_peaks_follow_what_goes_into_each_convolution(backbone, tiles):
    x = tiles.permute(0, 3, 1, 2) / 255
    assert (backbone.activation_ranges > 0).all()
    louder = copy.deepcopy(backbone)
    unit = louder.stages[1][2]
    unit.reduce.weight.data *= 2
    unit.reduce.bias.data *= 2
    unit.spatial.weight.data /= 2
    ratio = activation_ranges.measure(louder, [x]) / backbone.activation_ranges
    twice = backbone.quantised_layers().index(backbone.stages[1][2].spatial)
    assert float(ratio[twice]) == pytest.approx(2, rel=0.05)
    torch.testing.assert_close(
        ratio[torch.arange(len(ratio)) != twice], torch.ones(len(ratio) - 1), atol=0.05, rtol=0
    )


def test_peaks_travel_with_the_weights(backbone, tmp_path):
    system = Compact(SPECIAL, {"text_layers": 0}).eval()
    without = {name: value for name, value in backbone.state_dict().items() if name != "activation_ranges"}
    system.backbone.load_state_dict(without)
    assert not system.backbone.activation_ranges.any()  # as in a file from before they were measured
    system.backbone.load_state_dict(backbone.state_dict())
    checkpoint.save(system, "compact", tmp_path / "m.safetensors")
    again = checkpoint.load(tmp_path / "m.safetensors").backbone
    torch.testing.assert_close(again.activation_ranges, backbone.activation_ranges, rtol=1e-3, atol=0)


def test_tiles_are_resized_as_pillow_does(tiles):
    large = tiles.repeat(1, 2, 2, 1)[:, :223, :301]
    found = resized(large, 160)
    assert found.dtype == torch.uint8
    for tile, picture in zip(found, large, strict=True):
        wanted = Image.fromarray(picture.numpy()).resize((160, 160), Image.Resampling.BILINEAR)
        assert int((tile.int() - torch.from_numpy(np.array(wanted)).int()).abs().max()) <= 1
    assert resized(tiles, 160) is tiles


def test_pictures_enter_training_and_use_alike(backbone, tiles):
    x = network_input(tiles.numpy(), backbone)
    torch.testing.assert_close(x, tiles.permute(0, 3, 1, 2) / 255)
