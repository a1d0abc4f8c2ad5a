"""Activation ranges of the backbone's convolutions, for 8-bit arithmetic.

Static quantisation after training: weights are 8 bits already, with one scale for each output channel. The input of
a convolution is never negative (it comes out of a ReLU), so that its range is 0 ... maximum in 255 levels; the
maximum is chosen once for each convolution, where clipping and rounding together have the least squared error on
training images. `models.training.calibrate_ranges` measures a weight file."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import torch
from rs_text_search_plugin.models.layers.resnet50v2 import QUANTISATION_LEVELS, ResNet50V2
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLED_VALUES = 20_000
"""Activations sampled of each batch and convolution."""
CANDIDATES = 40
"""Maxima that are tried: so many equal parts of the largest value."""


@torch.inference_mode()
def measure(backbone: ResNet50V2, batches: Iterable[Tensor], seed: int = 0) -> Tensor:
    """Batches of images (B, 3, S, S) in 0-1 -> ranges (QUANTISED_LAYERS,), as `backbone.quantised_layers()`."""
    generator = torch.Generator().manual_seed(seed)
    layers = backbone.quantised_layers()
    with ExitStack() as stack:
        samples = [stack.enter_context(_sampled_inputs(layer, generator)) for layer in layers]
        for batch in batches:
            backbone(batch)
    return torch.stack([best_range(torch.cat(values)) for values in samples])


@contextmanager
def _sampled_inputs(layer: nn.Conv2d, generator: torch.Generator) -> Iterator[list[Tensor]]:
    """A list that gets a random sample of what goes into a layer, and the largest value of each batch."""
    values: list[Tensor] = []

    def sample(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        flat = inputs[0].detach().flatten().float().cpu()
        values.append(flat[torch.randint(len(flat), (SAMPLED_VALUES,), generator=generator)])
        values.append(flat.max().view(1))

    hook = layer.register_forward_pre_hook(sample)
    try:
        yield values
    finally:
        hook.remove()


def best_range(values: Tensor) -> Tensor:
    """Values >= 0 (n,) -> the maximum at which their 8-bit form has the least squared error."""
    maxima = values.max().clamp_min(1e-6) * torch.arange(1, CANDIDATES + 1) / CANDIDATES
    return maxima[
        torch.stack([_squared_error(values, maximum / QUANTISATION_LEVELS) for maximum in maxima]).argmin()
    ]


def _squared_error(values: Tensor, step: Tensor) -> Tensor:
    quantised = (values / step).round().clamp(max=QUANTISATION_LEVELS) * step
    return (quantised - values).square().sum()
