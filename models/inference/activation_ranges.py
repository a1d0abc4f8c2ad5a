"""How large values get inside the backbone, so that a processor may multiply them in 8 bits.

Static quantisation after training: weights are 8 bits already, one scale for each output channel. What goes
into a convolution is never negative (it comes out of a ReLU), so that 0 ... peak in 255 steps is all there is
to choose, once for each convolution, from pictures of the training set. Values above the peak are cut: the
peak is where cutting and rounding together do the least harm, by squared error.

    python -m rs_text_search_plugin.models.inference.activation_ranges FILE.safetensors JSONL[:IMAGES]

keeps them in FILE.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.layers.resnet50v2 import STEPS, ResNet50V2, entering
from rs_text_search_plugin.models.training.augment import plain
from rs_text_search_plugin.models.training.datasets import Dataset, open_dataset
from torch import Tensor, nn

PICTURES = 256
BATCH = 16
SAMPLE = 20_000
"""Values that are looked at of a batch and a convolution."""
CUTS = 40
"""Peaks that are tried: this many parts of the largest value."""


def add(weights: Path, data: Dataset, seed: int = 0) -> None:
    """Measure on pictures of the training split and write the file anew. Raises ModelError."""
    system = checkpoint.load(weights)
    learn(system.backbone, data, seed)
    checkpoint.save(system, checkpoint.name_of(system), weights)


def learn(backbone: ResNet50V2, data: Dataset, seed: int = 0) -> None:
    """Let a backbone know its peaks, from pictures of the training split."""
    rows = data.split("train")
    chosen = np.random.default_rng(seed).permutation(len(rows))[:PICTURES]
    pictures = [plain(data.images.read(rows[number].image)) for number in chosen]
    batches = (np.stack(pictures[start : start + BATCH]) for start in range(0, len(pictures), BATCH))
    backbone.peaks.copy_(measured(backbone, (entering(batch, backbone) for batch in batches), seed))


def measured(backbone: ResNet50V2, batches: Iterable[Tensor], seed: int = 0) -> Tensor:
    """Pictures, (B, 3, S, S) in 0-1 at a time -> peaks (SITES,) in the order of `backbone.sites()`."""
    seen: list[list[Tensor]] = [[] for _ in backbone.sites()]
    draw = torch.Generator().manual_seed(seed)

    def watch(values: list[Tensor], conv: nn.Conv2d) -> torch.utils.hooks.RemovableHandle:
        def note(_conv: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            flat = inputs[0].detach().flatten().float().cpu()
            values.append(flat[torch.randint(len(flat), (SAMPLE,), generator=draw)])
            values.append(flat.max().view(1))

        return conv.register_forward_pre_hook(note)

    hooks = [watch(values, conv) for values, conv in zip(seen, backbone.sites(), strict=True)]
    with torch.inference_mode():
        for batch in batches:
            backbone(batch)
    for hook in hooks:
        hook.remove()
    return torch.stack([_peak(torch.cat(values)) for values in seen])


def _peak(values: Tensor) -> Tensor:
    """Values >= 0 (n,) -> the peak with the least squared error of their 8-bit likeness."""
    cuts = values.max().clamp_min(1e-6) * torch.arange(1, CUTS + 1) / CUTS
    steps = cuts / STEPS
    errors = [((values / step).round().clamp(max=STEPS) * step - values).square().sum() for step in steps]
    return cuts[torch.stack(errors).argmin()]


if __name__ == "__main__":
    add(Path(sys.argv[1]), open_dataset(sys.argv[2]))
