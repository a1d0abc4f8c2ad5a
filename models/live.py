"""Pictures that go through the backbone anew at every step, so that its last stage can learn too.

Stem and stages 1-2 stay as ImageNet left them and run without a gradient in the fastest precision; stage 3
and what closes it are trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as fn

from rs_text_search_plugin.engine.types import U8

from .backbones import ResNet50V2
from .datasets import Dataset
from .features import entering
from .lessons import Item
from .runtime import has_bf16
from .system import INPUT_PX, Maps, places
from .views import plain, varied

CHUNK = 32


class LivePictures:
    """Source of maps for a trainer, with a gradient into stage 3 of `backbone`."""

    def __init__(self, datasets: Sequence[Dataset], backbone: ResNet50V2, side: int = INPUT_PX) -> None:
        self.datasets, self.side = datasets, side
        self.backbone = backbone
        self.front = _front(backbone)
        self._read: dict[tuple[int, int], Image.Image] = {}

    def read(self, items: Sequence[Item], rng: np.random.Generator) -> U8:
        """A varied view of each picture: (B, S, S, 3)."""
        return np.stack([varied(self._picture(item.source, item.row), rng, self.side) for item in items])

    def maps(self, read: U8) -> Maps:
        """Maps of what was read."""
        middle = self._middle(read)
        stage = self.backbone.stages[2]
        opened = stage[0].open(middle)  # type: ignore[index]  # how stage 2 looks to the layer after it
        return places(opened, self.backbone.close(stage(middle)))

    def whole(self, rows: Sequence[int]) -> Iterator[Maps]:
        """Maps of rows of the first dataset, as the pictures are."""
        for start in range(0, len(rows), CHUNK):
            yield self.maps(np.stack([plain(self._picture(0, row)) for row in rows[start : start + CHUNK]]))

    def _middle(self, tiles: U8) -> Tensor:
        """(B, S, S, 3) -> stage 2 (B, 512, S/8, S/8)."""
        found = []
        with torch.no_grad():
            for start in range(0, len(tiles), CHUNK):
                x = entering(tiles[start : start + CHUNK], self.front)
                scale, shift = (self.front.input[name].view(1, 3, 1, 1) for name in ("scale", "shift"))
                x = fn.max_pool2d(self.front.stem(x * scale + shift).relu_(), 3, 2, padding=1)
                found.append(self.front.stages[1](self.front.stages[0](x)))
        return torch.cat(found)

    def _picture(self, source: int, row: int) -> Image.Image:
        data = self.datasets[source]
        if (source, row) not in self._read:  # decoded pictures take 0.15 MB each
            self._read[source, row] = data.images.read(data.rows[row].image)
        return self._read[source, row]


def _front(backbone: ResNet50V2) -> ResNet50V2:
    """A copy for the stages that do not learn."""
    device = backbone.stem.weight.device
    front = ResNet50V2()
    front.load_state_dict(backbone.state_dict())
    kind = torch.bfloat16 if has_bf16(device) or device.type == "cuda" else torch.float32
    return front.to(device, kind).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]
