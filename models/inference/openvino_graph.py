"""The backbone as a graph of OpenVINO's operations, made straight from its tensors.

With measured activation ranges the convolutions inside units are done in 8 bits: what goes in is quantised to 0 ...
range in 255 steps, and the weights are 8 bits in the file already. What runs along the shortcuts is not rounded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from rs_text_search_plugin.models.checkpoint import quantise
from rs_text_search_plugin.models.layers.resnet50v2 import (
    CHANNELS,
    QUANTISATION_LEVELS,
    Affine,
    ResNet50V2,
    Unit,
)
from torch import Tensor, nn

# With this package at hand, importing OpenVINO tells its makers so. To this process it is not at hand.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

from openvino import Model, Type  # noqa: E402
from openvino import opset13 as op  # noqa: E402

Node = Any


def backbone_graph(backbone: ResNet50V2, size: int, eight_bits: bool) -> Model:
    """uint8 (1, size, size, 3) RGB -> fp32 (1, places, 512) and (1, places, 1024), the `Maps` of one image
    (see systems/base.py); size is a multiple of 32."""
    activation_ranges = iter(backbone.activation_ranges.tolist() if eight_bits else [])
    tile, x = _input_and_stem(backbone, size)
    opened = []
    for stage in backbone.stages:
        for number, unit in enumerate(stage):  # type: ignore[arg-type, var-annotated]
            o = _preactivation(x, unit.open)
            opened += [o] if number == 0 else []
            x = _unit(x, o, unit, activation_ranges)
    middle = _pool_grid(opened[2], 4, CHANNELS[1])
    return Model([middle, _pool_grid(_preactivation(x, backbone.close), 2, CHANNELS[2])], [tile], "backbone")


def frozen_stem_graph(backbone: ResNet50V2, size: int) -> Model:
    """uint8 (1, size, size, 3) RGB -> fp16 (1, size / 8, size / 8, 512): stem and stages 1-2, what is frozen in
    training."""
    tile, x = _input_and_stem(backbone, size)
    first, second, _ = backbone.stages
    for unit in (*first, *second):  # type: ignore[misc]
        x = _unit(x, _preactivation(x, unit.open), unit, iter(()))
    return Model([op.convert(op.transpose(x, _int64(0, 2, 3, 1)), "f16")], [tile], "front")


def _input_and_stem(backbone: ResNet50V2, size: int) -> tuple[Node, Node]:
    """The tile and what the stem makes of it, (1, 64, S/4, S/4)."""
    tile = op.parameter([1, size, size, 3], Type.u8)
    x = op.transpose(op.convert(tile, "f32"), _int64(0, 3, 1, 2))  # (1, 3, S, S)
    x = _scale_shift(x, backbone.input["scale"] / 255, backbone.input["shift"])
    x = op.relu(_convolution(x, backbone.stem))  # (1, 64, S/2, S/2)
    return tile, op.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3], "floor", "explicit").output(0)


def _unit(x: Node, opened: Node, unit: Unit, activation_ranges: Iterator[float]) -> Node:
    first, second, third = (next(activation_ranges, 0.0) for _ in range(3))
    kept = x if unit.shortcut is None else _convolution(opened, unit.shortcut, first)
    y = op.relu(_convolution(opened, unit.reduce, first))
    y = op.relu(_convolution(y, unit.spatial, second))
    return op.add(_convolution(y, unit.expand, third), kept)


def _preactivation(x: Node, affine: Affine) -> Node:
    return op.relu(_scale_shift(x, affine.scale, affine.shift))


def _scale_shift(x: Node, scale: Tensor, shift: Tensor) -> Node:
    return op.add(op.multiply(x, _channels(scale)), _channels(shift))


def _convolution(x: Node, conv: nn.Conv2d, peak: float = 0.0) -> Node:
    """In 8 bits if there is a peak."""
    kernel = op.constant(conv.weight.detach().float().numpy())
    if peak:
        low, high = (op.constant(np.full((1, 1, 1, 1), end, np.float32)) for end in (0.0, peak))
        x = op.fake_quantize(x, low, high, low, high, QUANTISATION_LEVELS + 1)
        steps, scale = quantise(conv.weight.detach())
        kernel = op.multiply(op.convert(op.constant(steps.numpy()), "f32"), _channels(scale, axis=0))
    y = op.convolution(x, kernel, conv.stride, conv.padding, conv.padding, conv.dilation)
    return y if conv.bias is None else op.add(y, _channels(conv.bias))


def _pool_grid(x: Node, step: int, channels: int) -> Node:
    """(1, C, h, w) -> (1, places, C), the means of step x step."""
    x = op.avg_pool(x, [step, step], [0, 0], [0, 0], [step, step], True)  # (1, C, h / step, w / step)
    return op.transpose(op.reshape(x, _int64(1, channels, -1), False), _int64(0, 2, 1))


def _channels(values: Tensor, axis: int = 1) -> Node:
    """(C,) -> a constant that spreads over an axis of four."""
    shape = [1] * axis + [-1] + [1] * (3 - axis)
    return op.constant(values.detach().float().view(shape).numpy())


def _int64(*numbers: int) -> Node:
    return op.constant(np.array(numbers, np.int64))
