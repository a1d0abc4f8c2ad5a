"""How the backbone is run: a `BackboneRunner` turns tiles into maps in the fastest way that its device has.

On an x86-64 CPU that is OpenVINO: in 8 bits where the processor multiplies them (AVX2) and the model knows its
activation ranges, else in bf16 or fp32. Without OpenVINO, on other CPUs and on CUDA it is torch. `about` says
which one is chosen and why. The vectors agree (tests/models/inference/test_runtime.py), so that an index need not
know."""

from __future__ import annotations

import platform
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
import torch
from rs_text_search_plugin.models.layers.resnet50v2 import CHANNELS, ResNet50V2
from rs_text_search_plugin.models.systems.base import Maps, pool_grid
from torch import Tensor

X86 = ("x86_64", "AMD64")


class BackboneRunner(Protocol):
    """Tiles -> maps of the backbone."""

    about: str
    """What does the work, in which precision, and why."""

    def __call__(self, tiles: Tensor) -> Maps:
        """(n, S, S, 3) uint8 on the device, S a multiple of 32 -> Maps there, fp32."""
        ...


@dataclass(frozen=True)
class RuntimeChoice:
    """A runtime ("OpenVINO" or "torch"), a precision (int8, bf16, fp16 or fp32), and why."""

    runtime: str
    precision: str
    reason: str

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision}: {self.reason}"


def backbone_runner(
    backbone: ResNet50V2, device: torch.device, choice: RuntimeChoice | None = None
) -> BackboneRunner:
    """The fastest runner, or the one chosen; it takes the backbone over and moves it to the device."""
    choice = choice or choose_runtime(device, measured=bool(backbone.activation_ranges.all()))
    return (OpenVinoBackbone if choice.runtime == "OpenVINO" else TorchBackbone)(backbone, device, choice)


def choose_runtime(device: torch.device, *, measured: bool) -> RuntimeChoice:
    """What is fastest on a device; `measured` tells whether the backbone's activation ranges were measured."""
    if device.type == "cuda":
        return torch_choice(device, "the backbone is on CUDA")
    if lack := why_no_openvino():
        return torch_choice(device, lack)
    if not has_int8():
        return RuntimeChoice("OpenVINO", half_precision(device), "this CPU has no products of 8 bits")
    if not measured:
        return RuntimeChoice("OpenVINO", half_precision(device), "the model has no activation ranges")
    return RuntimeChoice("OpenVINO", "int8", "this CPU has products of 8 bits")


def torch_choice(device: torch.device, reason: str) -> RuntimeChoice:
    """torch, in half precision where the device has it."""
    return RuntimeChoice("torch", half_precision(device), reason)


def half_precision(device: torch.device) -> str:
    """The shortest floats that a device multiplies faster than fp32."""
    if device.type == "cuda":
        return "fp16"
    return "bf16" if has_bf16(device) else "fp32"


@cache
def why_no_openvino() -> str:
    """Why OpenVINO cannot be used here; "" when it can."""
    if platform.machine() not in X86:
        return f"OpenVINO was measured on x86-64 alone, this is {platform.machine()}"
    try:
        from . import openvino_graph as _graph  # noqa: F401, PLC0415 - the one file that imports OpenVINO
    except ImportError as error:
        return f"OpenVINO cannot be used: {error}"
    return ""


def has_bf16(device: torch.device) -> bool:
    """Whether this CPU multiplies bf16 in hardware; elsewhere torch emulates it, slowly."""
    return device.type == "cpu" and _cpu_has("avx512_bf16", "amx_bf16")


def has_int8() -> bool:
    """Whether this CPU multiplies 8 bits faster than floats. Without VNNI it adds two products in 16 bits before it
    goes on in 32, and cuts what does not fit: rare with the ranges of our models (decision 5 has the figures)."""
    return _cpu_has("avx2")


def _cpu_has(*abilities: str) -> bool:
    found = torch.cpu.get_capabilities()
    return any(found.get(ability, False) for ability in abilities)


def training_dtype(device: torch.device) -> torch.dtype:
    """What training computes in: bf16 where the device multiplies it faster (the gradients of fp16 would have to be
    scaled), else fp32."""
    return torch.float32 if half_precision(device) == "fp32" else torch.bfloat16


def training_autocast(device: torch.device) -> torch.autocast:
    """`training_dtype` as a context."""
    return torch.autocast(device.type, torch.bfloat16, enabled=training_dtype(device) == torch.bfloat16)


def inference_autocast(device: torch.device, *, exact: bool = False) -> torch.autocast:
    """Half precision for what comes after the backbone where the device has it, unless it has to be exact."""
    kind = torch.float16 if device.type == "cuda" else torch.bfloat16
    return torch.autocast(device.type, kind, enabled=half_precision(device) != "fp32" and not exact)


class TorchBackbone:
    """The backbone as it is, in half precision where that is faster."""

    def __init__(self, backbone: ResNet50V2, device: torch.device, choice: RuntimeChoice) -> None:
        self.about = str(choice)
        kind = torch.bfloat16 if choice.precision == "bf16" else torch.float32
        self.backbone = backbone.to(device, kind, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.kind = kind

    def __call__(self, tiles: Tensor) -> Maps:
        x = tiles.permute(0, 3, 1, 2).to(self.kind) / 255  # (n, 3, S, S), channels last
        # on a CPU the weights themselves are in half precision: autocast would only convert to and fro
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", torch.float16, enabled=x.is_cuda):
            maps = pool_grid(*self.backbone(x))
        return Maps(maps.middle.float(), maps.last.float())


class OpenVinoBackbone:
    """The backbone as an OpenVINO graph, one tile a request and one request a thread.

    Tiles in flight side by side keep every core busy without waiting for each other, and a tile's maps do not
    depend on its neighbours. A graph is made when the first tile of its size comes: a search by words needs
    none."""

    def __init__(self, backbone: ResNet50V2, device: torch.device, choice: RuntimeChoice) -> None:
        self.about = str(choice)
        self.backbone, self.choice = backbone.to(device), choice
        self.lock = threading.Lock()
        self.queues: dict[int, Any] = {}

    def __call__(self, tiles: Tensor) -> Maps:
        count, size = tiles.shape[:2]
        middle, last = (np.empty((count, (size // 32) ** 2, width), np.float32) for width in CHANNELS[1:])
        with self.lock:
            queue = self.queues.get(size) or self.queues.setdefault(size, self._queue(size))
            for tile, *kept in zip(tiles.contiguous().numpy(), middle, last, strict=True):
                queue.start_async([tile[None]], kept)
            queue.wait_all()
        return Maps(torch.from_numpy(middle), torch.from_numpy(last))

    def _queue(self, size: int) -> Any:
        from .openvino_graph import backbone_graph  # noqa: PLC0415 - brings OpenVINO

        eight_bits = self.choice.precision == "int8"
        floats = half_precision(torch.device("cpu")) if eight_bits else self.choice.precision
        return request_queue(backbone_graph(self.backbone, size, eight_bits), floats)


def request_queue(model: Any, floats: str) -> Any:
    """A graph as requests that run side by side, one a thread and one that waits its turn, in "bf16" or "fp32";
    each leaves its outputs in the arrays it is given."""
    from openvino import AsyncInferQueue, Core  # noqa: PLC0415 - brings OpenVINO

    threads = torch.get_num_threads()
    settings = {
        "NUM_STREAMS": threads,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": {"bf16": "bf16", "fp32": "f32"}[floats],
    }
    queue = AsyncInferQueue(Core().compile_model(model, "CPU", settings), threads + 1)
    queue.set_callback(_copy_outputs)
    return queue


def _copy_outputs(request: Any, kept: list[np.ndarray[Any, Any]]) -> None:
    for number, target in enumerate(kept):
        target[:] = request.get_output_tensor(number).data[0]
