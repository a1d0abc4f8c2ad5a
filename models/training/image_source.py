"""Pictures that a network looks at anew at every step, so that it can learn too.

The backbone's stem and stages 1-2 stay as ImageNet left them and run without a gradient in the fastest precision;
stage 3 and what closes it are trained (`TunedBackbone`). Eyes of a system's own learn as a whole (`Glances`)."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from rs_text_search_plugin.models.inference.runtime import floats, half, openvino_lack, requests
from rs_text_search_plugin.models.layers.resnet50v2 import CHANNELS, ResNet50V2, entering
from rs_text_search_plugin.models.systems.base import INPUT_PX, FusionSystem, Maps, places
from torch import Tensor
from torch.nn import functional as fn

from rs_text_search_plugin.contracts.arrays import U8

from .augment import plain, varied
from .datasets import Dataset
from .pairs import Item

CHUNK = 32
CPU = torch.device("cpu")


class Front(Protocol):
    """Stem and stages 1-2."""

    def __call__(self, tiles: U8) -> Tensor:
        """(B, S, S, 3) -> stage 2 (B, 512, S/8, S/8)."""
        ...


class Pictures(ABC):
    """Source of maps for a trainer that has to see pictures."""

    def __init__(self, datasets: Sequence[Dataset], side: int = INPUT_PX) -> None:
        self.datasets, self.side = datasets, side
        self._read: dict[tuple[int, int], Image.Image] = {}

    @abstractmethod
    def maps(self, read: U8) -> Maps:
        """Maps of what was read, (B, S, S, 3), with a gradient."""

    def read(self, items: Sequence[Item], rng: np.random.Generator) -> U8:
        """A varied view of each picture: (B, S, S, 3)."""
        return np.stack([varied(self._picture(item.source, item.row), rng, self.side) for item in items])

    def whole(self, rows: Sequence[int]) -> Iterator[Maps]:
        """Maps of rows of the first dataset, as the pictures are."""
        for start in range(0, len(rows), CHUNK):
            yield self.maps(np.stack([plain(self._picture(0, row)) for row in rows[start : start + CHUNK]]))

    def _picture(self, source: int, row: int) -> Image.Image:
        data = self.datasets[source]
        if (source, row) not in self._read:  # decoded pictures take 0.15 MB each
            self._read[source, row] = data.images.read(data.rows[row].image)
        return self._read[source, row]


class TunedBackbone(Pictures):
    """The backbone, of which stage 3 learns."""

    def __init__(self, datasets: Sequence[Dataset], backbone: ResNet50V2, side: int = INPUT_PX) -> None:
        super().__init__(datasets, side)
        self.backbone, self.front = backbone, front(backbone)

    def maps(self, read: U8) -> Maps:
        """What learns takes a chunk at a time: its maps stay in the processor's cache."""
        chunks = [self._seen(middle) for middle in torch.split(self.front(read), CHUNK)]
        return Maps(*(torch.cat(parts) for parts in zip(*chunks, strict=True)))

    def _seen(self, middle: Tensor) -> Maps:
        stage = self.backbone.stages[2]
        opened = stage[0].open(middle)  # type: ignore[index]  # how stage 2 looks to the layer after it
        return places(opened, self.backbone.close(stage(middle)))


class Glances(Pictures):
    """The eyes of a fusion system."""

    def __init__(self, datasets: Sequence[Dataset], system: FusionSystem, side: int = INPUT_PX) -> None:
        super().__init__(datasets, side)
        self.system = system

    def maps(self, read: U8) -> Maps:
        """What a second look sees."""
        return self.system.glance(entering(read, self.system.backbone))


def front(backbone: ResNet50V2) -> Front:
    """The stages that do not learn, run in the way that is fastest where the backbone is."""
    device = backbone.stem.weight.device
    if device.type == "cpu" and not openvino_lack():
        return OpenVinoFront(backbone)
    return TorchFront(backbone, device)


class TorchFront:
    """A copy of the backbone, in half precision where the device has it."""

    def __init__(self, backbone: ResNet50V2, device: torch.device) -> None:
        self.still = ResNet50V2()
        self.still.load_state_dict(backbone.state_dict())
        self.still.to(device, floats(device)).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, tiles: U8) -> Tensor:
        return torch.cat([self._some(tiles[i : i + CHUNK]) for i in range(0, len(tiles), CHUNK)])

    def _some(self, tiles: U8) -> Tensor:
        scale, shift = (self.still.input[name].view(1, 3, 1, 1) for name in ("scale", "shift"))
        x = self.still.stem(entering(tiles, self.still) * scale + shift).relu_()
        return self.still.stages[1](self.still.stages[0](fn.max_pool2d(x, 3, 2, padding=1)))  # type: ignore[no-any-return]


class OpenVinoFront:
    """An OpenVINO graph for each size of pictures: 1.7 times as fast as torch on two cores of a Zen 4."""

    def __init__(self, backbone: ResNet50V2) -> None:
        self.backbone = copy.deepcopy(backbone).requires_grad_(False)
        self.queues: dict[int, Any] = {}

    def __call__(self, tiles: U8) -> Tensor:
        side = tiles.shape[1]
        if side not in self.queues:
            from rs_text_search_plugin.models.inference.openvino_graph import front as graph  # noqa: PLC0415 - brings OpenVINO

            self.queues[side] = requests(graph(self.backbone, side), half(CPU))
        found = np.empty((len(tiles), side // 8, side // 8, CHANNELS[1]), np.float16)
        for tile, kept in zip(tiles, found, strict=True):
            self.queues[side].start_async([tile[None]], [kept])
        self.queues[side].wait_all()
        return torch.from_numpy(found).to(floats(CPU)).permute(0, 3, 1, 2)  # channels last
