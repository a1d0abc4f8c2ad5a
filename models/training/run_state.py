"""The state of an interrupted training run in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor


@dataclass(frozen=True)
class Kept:
    """After `epoch`: counters, the best figures so far, weights, their moving average, the optimiser's state."""

    epoch: int
    step: int
    best: dict[str, float]
    now: dict[str, Tensor]
    average: dict[str, Tensor]
    optimiser: dict[int, dict[str, Tensor]]


def keep(path: Path, state: Kept) -> None:
    """Write it, whole or not at all."""
    tensors = {f"now.{name}": value for name, value in state.now.items()}
    tensors |= {f"average.{name}": value for name, value in state.average.items()}
    for number, parts in state.optimiser.items():
        tensors |= {f"adam.{number}|{name}": value for name, value in parts.items()}
    header = {"epoch": str(state.epoch), "step": str(state.step), "best": json.dumps(state.best)}
    part = path.with_suffix(".part")
    save_file({name: value.contiguous() for name, value in tensors.items()}, part, header)
    part.replace(path)


def kept(path: Path, device: torch.device) -> Kept:
    """Read what `keep` wrote."""
    with safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = load_file(path, device=str(device))
    optimiser: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "adam.").items():
        number, kind = name.split("|")
        optimiser.setdefault(int(number), {})[kind] = value
    return Kept(
        int(header["epoch"]),
        int(header["step"]),
        json.loads(header["best"]),
        _part(tensors, "now."),
        _part(tensors, "average."),
        optimiser,
    )


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
