"""Feature maps from images that are augmented anew in every step, so that the image network can be trained too.

Of the backbone, stem and stages 1-2 keep their ImageNet weights and run without a gradient in the fastest
precision; stage 3 and the final normalisation are trained (`TunedBackboneSource`). A second image encoder is
trained as a whole (`SecondEncoderSource`)."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from rs_text_search_plugin.models.inference.runtime import (
    half_precision,
    request_queue,
    training_dtype,
    why_no_openvino,
)
from rs_text_search_plugin.models.layers.resnet50v2 import CHANNELS, ResNet50V2, network_input
from rs_text_search_plugin.models.systems.base import INPUT_PX, FusionSystem, Maps, pool_grid
from torch import Tensor
from torch.nn import functional as fn

from rs_text_search_plugin.contracts.arrays import U8

from .augment import augmented, resized_image
from .datasets import Dataset
from .pairs import Item

CHUNK = 32
"""Images that go through a trained network at once: its maps stay in the processor's cache."""
CPU = torch.device("cpu")


class FrozenStem(Protocol):
    """Stem and stages 1-2 of the backbone."""

    def __call__(self, tiles: U8) -> Tensor:
        """(B, S, S, 3) -> stage 2 (B, 512, S/8, S/8)."""
        ...


class ImageSource(ABC):
    """A MapSource that reads images."""

    def __init__(self, datasets: Sequence[Dataset], image_size: int = INPUT_PX) -> None:
        self.datasets, self.image_size = datasets, image_size
        self._decoded: dict[tuple[int, int], Image.Image] = {}

    @abstractmethod
    def maps(self, read: U8) -> Maps:
        """Maps of images (B, S, S, 3), with a gradient."""

    def read(self, items: Sequence[Item], rng: np.random.Generator) -> U8:
        """An augmentation of each image: (B, S, S, 3)."""
        images = (self._image(item.dataset, item.row) for item in items)
        return np.stack([augmented(image, rng, self.image_size) for image in images])

    def unchanged(self, rows: Sequence[int]) -> Iterator[Maps]:
        """Maps of rows of the first dataset without augmentation, in batches."""
        for start in range(0, len(rows), CHUNK):
            images = [resized_image(self._image(0, row)) for row in rows[start : start + CHUNK]]
            yield self.maps(np.stack(images))

    def _image(self, dataset: int, row: int) -> Image.Image:
        data = self.datasets[dataset]
        if (dataset, row) not in self._decoded:  # 0.15 MB each
            self._decoded[dataset, row] = data.images.read(data.rows[row].image)
        return self._decoded[dataset, row]


class TunedBackboneSource(ImageSource):
    """The backbone, of which stage 3 is trained."""

    def __init__(self, datasets: Sequence[Dataset], backbone: ResNet50V2, image_size: int = INPUT_PX) -> None:
        super().__init__(datasets, image_size)
        self.backbone, self.frozen_stem = backbone, frozen_stem(backbone)

    def maps(self, read: U8) -> Maps:
        """Maps of images (B, S, S, 3), with a gradient in stage 3."""
        chunks = [self._pooled(middle) for middle in torch.split(self.frozen_stem(read), CHUNK)]
        return Maps(*(torch.cat(parts) for parts in zip(*chunks, strict=True)))

    def _pooled(self, middle: Tensor) -> Maps:
        stage = self.backbone.stages[2]
        normalised = stage[0].open(middle)  # type: ignore[index]  # stage 2 as the layer after it gets it
        return pool_grid(normalised, self.backbone.close(stage(middle)))


class SecondEncoderSource(ImageSource):
    """The second image encoder of a fusion system, trained as a whole."""

    def __init__(self, datasets: Sequence[Dataset], system: FusionSystem, image_size: int = INPUT_PX) -> None:
        super().__init__(datasets, image_size)
        self.system = system

    def maps(self, read: U8) -> Maps:
        """Maps of images (B, S, S, 3), with a gradient."""
        return self.system.encode_image(network_input(read, self.system.backbone))


def frozen_stem(backbone: ResNet50V2) -> FrozenStem:
    """The stages that are not trained, run in the fastest way of the backbone's device."""
    device = backbone.stem.weight.device
    if device.type == "cpu" and not why_no_openvino():
        return OpenVinoFrozenStem(backbone)
    return TorchFrozenStem(backbone, device)


class TorchFrozenStem:
    """A copy of the backbone, in half precision where the device has it."""

    def __init__(self, backbone: ResNet50V2, device: torch.device) -> None:
        self.backbone = ResNet50V2()
        self.backbone.load_state_dict(backbone.state_dict())
        self.backbone.to(device, training_dtype(device)).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, tiles: U8) -> Tensor:
        return torch.cat([self._chunk(tiles[i : i + CHUNK]) for i in range(0, len(tiles), CHUNK)])

    def _chunk(self, tiles: U8) -> Tensor:
        scale, shift = (self.backbone.input[name].view(1, 3, 1, 1) for name in ("scale", "shift"))
        x = self.backbone.stem(network_input(tiles, self.backbone) * scale + shift).relu_()
        return self.backbone.stages[1](self.backbone.stages[0](fn.max_pool2d(x, 3, 2, padding=1)))  # type: ignore[no-any-return]


class OpenVinoFrozenStem:
    """An OpenVINO graph for each image size: 1.7 times as fast as torch on two cores of a Zen 4."""

    def __init__(self, backbone: ResNet50V2) -> None:
        self.backbone = copy.deepcopy(backbone).requires_grad_(False)
        self.queues: dict[int, Any] = {}

    def __call__(self, tiles: U8) -> Tensor:
        side = tiles.shape[1]
        queue = self.queues.get(side) or self.queues.setdefault(side, self._queue(side))
        found = np.empty((len(tiles), side // 8, side // 8, CHANNELS[1]), np.float16)
        for tile, target in zip(tiles, found, strict=True):
            queue.start_async([tile[None]], [target])
        queue.wait_all()
        return torch.from_numpy(found).to(training_dtype(CPU)).permute(0, 3, 1, 2)  # channels last

    def _queue(self, side: int) -> Any:
        from rs_text_search_plugin.models.inference.openvino_graph import frozen_stem_graph  # noqa: PLC0415 - brings OpenVINO

        return request_queue(frozen_stem_graph(self.backbone, side), half_precision(CPU))
