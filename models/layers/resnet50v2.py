"""ResNet50-V2 up to stage 3, the image backbone of `compact`.

Pre-activation residual units (He et al. 2016, "Identity Mappings in Deep Residual Networks") in GluonCV's
order, with the stride on the 3x3 convolution. The batch norms inside a unit are folded into the convolution
before them; the one that opens a unit cannot be (the shortcut branches off around it) and stays as a scale
and a shift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from rs_text_search_plugin.contracts.arrays import U8

UNITS = (3, 4, 6)
CHANNELS = (256, 512, 1024)
QUANTISED_LAYERS = 3 * sum(UNITS)
"""Convolutions inside units, shortcuts aside: these get what `reduce` gets."""
QUANTISATION_LEVELS = 255
"""In 8 bits a value that is never negative is one of this many steps, or 0."""
INPUT_MEAN = (0.485, 0.456, 0.406)
INPUT_STD = (0.229, 0.224, 0.225)


class Affine(nn.Module):
    """A frozen batch norm: x * scale + shift for each channel, then ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.register_buffer("zero", torch.zeros(channels), persistent=False)
        self.register_buffer("one", torch.ones(channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        # batch_norm is the one fused multiply-add for each channel that torch has in bf16 on a CPU
        return fn.batch_norm(x, self.zero, self.one, self.scale, self.shift, eps=0.0).relu_()  # type: ignore[arg-type]


class Unit(nn.Module):
    """Bottleneck: 1x1 down, 3x3, 1x1 up, added to its input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        middle = outputs // 4
        self.open = Affine(inputs)
        self.reduce = nn.Conv2d(inputs, middle, 1)
        self.spatial = nn.Conv2d(middle, middle, 3, stride, padding=1)
        self.expand = nn.Conv2d(middle, outputs, 1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        return self.after_opening(self.open(x), x)

    def after_opening(self, opened: Tensor, x: Tensor) -> Tensor:
        """The rest, from the normed input on; a unit that changes the width has no use for `x`."""
        kept = x if self.shortcut is None else self.shortcut(opened)
        y = self.reduce(opened).relu_()
        y = self.spatial(y).relu_()
        return self.expand(y).add_(kept)  # type: ignore[no-any-return]


class ResNet50V2(nn.Module):
    """(B, 3, S, S) RGB in 0-1 -> stage 2 (B, 512, S/8, S/8) and stage 3 (B, 1024, S/16, S/16), both after
    their last ReLU."""

    activation_ranges: Tensor
    """(SITES,) the largest value worth telling apart in front of each convolution, for 8-bit arithmetic
    (activation_ranges.py); 0 where it was never measured."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.ParameterDict({"scale": torch.ones(3), "shift": torch.zeros(3)})
        self.stem = nn.Conv2d(3, 64, 7, 2, padding=3)
        self.stages = nn.ModuleList(_stage(number) for number in range(len(UNITS)))
        self.close = Affine(CHANNELS[-1])
        self.register_buffer("activation_ranges", torch.zeros(QUANTISED_LAYERS))
        self.register_load_state_dict_pre_hook(_unmeasured)  # type: ignore[no-untyped-call]

    def quantised_layers(self) -> list[nn.Conv2d]:
        """The convolutions that `activation_ranges` is about, in its order."""
        units = [unit for stage in self.stages for unit in stage]  # type: ignore[attr-defined]
        return [conv for unit in units for conv in (unit.reduce, unit.spatial, unit.expand)]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x * self.input["scale"].view(1, 3, 1, 1).to(x.dtype) + self.input["shift"].view(1, 3, 1, 1).to(
            x.dtype
        )
        x = fn.max_pool2d(self.stem(x).relu_(), 3, 2, padding=1)
        x = self.stages[0](x)
        middle = self.stages[1](x)
        # stage 3's first normalisation is also how stage 2 looks to the layer after it
        return self.stages[2][0].open(middle), self.close(self.stages[2](middle))  # type: ignore[index]

    def last(self, opened: Tensor) -> Tensor:
        """Stage 3 and what closes it, from its normed input (B, 512, h, w) on -> (B, 1024, h/2, w/2)."""
        first, *others = self.stages[2].children()
        x = first.after_opening(opened, opened)  # type: ignore[operator]
        for unit in others:
            x = unit(x)
        return self.close(x)  # type: ignore[no-any-return]


def network_input(tiles: U8, backbone: ResNet50V2) -> Tensor:
    """(B, S, S, 3) uint8 -> (B, 3, S, S) in 0-1, where the backbone is and in its precision."""
    weight = backbone.stem.weight
    x = torch.from_numpy(tiles).to(weight.device).permute(0, 3, 1, 2).to(weight.dtype) / 255
    return x.contiguous(memory_format=torch.channels_last)


def _unmeasured(_module: nn.Module, state: dict[str, Any], prefix: str, *_rest: Any) -> None:
    """A state without activation ranges is that of a backbone whose ranges were never measured."""
    state.setdefault(prefix + "activation_ranges", torch.zeros(QUANTISED_LAYERS))


def _stage(number: int) -> nn.Sequential:
    """Only the first unit changes the width, and from the second stage on halves the map."""
    inputs, outputs = (64, *CHANNELS)[number : number + 2]
    first = Unit(inputs, outputs, stride=1 if number == 0 else 2)
    return nn.Sequential(first, *(Unit(outputs, outputs, stride=1) for _ in range(UNITS[number] - 1)))


def folded_resnet50v2(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """GluonCV's tensors (`resnetv24_stage{s}_conv{i}_weight`, ...) -> a `ResNet50V2` state with batch norms
    folded."""
    norm = {
        "scale": torch.tensor(INPUT_STD).reciprocal(),
        "shift": -torch.tensor(INPUT_MEAN) / torch.tensor(INPUT_STD),
    }
    scale, shift = _affine(tensors, "resnetv24_batchnorm0")
    state = {"input.scale": norm["scale"] * scale, "input.shift": norm["shift"] * scale + shift}
    _fold(state, "stem", tensors, "resnetv24_conv0", "resnetv24_batchnorm1")
    for stage, count in enumerate(UNITS):
        source, conv = f"resnetv24_stage{stage + 1}", 0
        for unit in range(count):
            target = f"stages.{stage}.{unit}"
            opening = _affine(tensors, f"{source}_batchnorm{3 * unit}")
            state[f"{target}.open.scale"], state[f"{target}.open.shift"] = opening
            _fold(
                state,
                f"{target}.reduce",
                tensors,
                f"{source}_conv{conv}",
                f"{source}_batchnorm{3 * unit + 1}",
            )
            _fold(
                state,
                f"{target}.spatial",
                tensors,
                f"{source}_conv{conv + 1}",
                f"{source}_batchnorm{3 * unit + 2}",
            )
            state[f"{target}.expand.weight"] = tensors[f"{source}_conv{conv + 2}_weight"].float()
            conv += 3
            if unit == 0:
                state[f"{target}.shortcut.weight"] = tensors[f"{source}_conv{conv}_weight"].float()
                conv += 1
    state["close.scale"], state["close.shift"] = _affine(tensors, "resnetv24_stage4_batchnorm0")
    return state


def _affine(tensors: Mapping[str, Tensor], norm: str) -> tuple[Tensor, Tensor]:
    """Batch norm at inference as (scale, shift); GluonCV's epsilon is 1e-5."""
    scale = tensors[f"{norm}_gamma"].float() / (tensors[f"{norm}_running_var"].float() + 1e-5).sqrt()
    return scale, tensors[f"{norm}_beta"].float() - tensors[f"{norm}_running_mean"].float() * scale


def _fold(state: dict[str, Tensor], target: str, tensors: Mapping[str, Tensor], conv: str, norm: str) -> None:
    scale, shift = _affine(tensors, norm)
    state[f"{target}.weight"] = tensors[f"{conv}_weight"].float() * scale.view(-1, 1, 1, 1)
    state[f"{target}.bias"] = shift
