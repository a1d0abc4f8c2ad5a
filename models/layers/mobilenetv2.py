"""MobileNetV2 (Sandler et al., CVPR 2018): the image encoder of a system that reranks.

TensorFlow's network with its batch norms folded into the convolutions: ReLU6, and where a convolution halves the
map, one row below and one column to the right of padding instead of one all around."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

MIDDLE, LAST = 96, 1280
"""Channels of what it gives."""
PLAN = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks, stride of the first: the paper's Table 2."""
CHUNK = 16
"""Images that go through at once when the network learns: more do not fit a processor's cache."""


class Conv(nn.Conv2d):
    """A convolution of an even map, and what follows it: ReLU6, or nothing."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, *, apart: bool = False) -> None:
        super().__init__(
            inputs,
            outputs,
            size,
            stride,
            padding=size // 2 if stride == 1 else 0,
            groups=inputs if apart else 1,
        )
        self.halves = stride == 2

    def forward(self, x: Tensor) -> Tensor:
        return fn.relu6(super().forward(fn.pad(x, (0, 1, 0, 1)) if self.halves else x))


class Block(nn.Module):
    """Inverted residual: wide, each channel by itself, narrow again without ReLU."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = Conv(inputs, wide, 1) if expansion > 1 else None
        self.spatial = Conv(wide, wide, 3, stride, apart=True)
        self.project = nn.Conv2d(wide, outputs, 1)
        self.residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.spatial(y))
        return x + y if self.residual else y  # type: ignore[no-any-return]


class MobileNetV2(nn.Module):
    """(B, 3, S, S) RGB in 0-1, S a multiple of 32 -> the last blocks at S/16 x S/16 cells, (B, 96, S/16, S/16),
    and the end, (B, 1280, S/32, S/32)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Conv(3, 32, 3, 2)
        blocks, inputs = [], 32
        for expansion, channels, count, stride in PLAN:
            for number in range(count):
                blocks.append(Block(inputs, channels, expansion, stride if number == 0 else 1))
                inputs = channels
        self.blocks = nn.ModuleList(blocks)
        self.close = Conv(inputs, LAST, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        parts = [self._some(part) for part in torch.split(x, CHUNK)]
        middle, last = zip(*parts, strict=True)
        return torch.cat(middle), torch.cat(last)

    def _some(self, x: Tensor) -> tuple[Tensor, Tensor]:
        middle = x = self.stem((2 * x - 1).contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            x = block(x)
            middle = x if x.shape[1] == MIDDLE else middle
        return middle, self.close(x)


def from_tf2(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """TF2's folded tensors under torchvision's names (`features.1.conv.0.0.weight`, ...) -> a `MobileNetV2`
    state."""
    end = max(int(name.split(".")[1]) for name in tensors)
    state = {}
    for name, value in tensors.items():
        _, layer, *inside, kind = name.split(".")
        number = int(layer)
        if number in {0, end}:
            target = "stem" if number == 0 else "close"
        else:
            parts = ("spatial", "project") if number == 1 else ("expand", "spatial", "project")
            target = f"blocks.{number - 1}.{parts[int(inside[1])]}"
        state[f"{target}.{kind}"] = value.float()
    return state
