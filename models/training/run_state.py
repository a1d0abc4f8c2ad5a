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
class RunState:
    """After `epoch`: steps done, the best figures so far, weights, their moving average, the optimiser's state."""

    epoch: int
    step: int
    best: dict[str, float]
    weights: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimiser: dict[int, dict[str, Tensor]]


def save(path: Path, state: RunState) -> None:
    """Write it, whole or not at all."""
    tensors = {f"weights.{name}": value for name, value in state.weights.items()}
    tensors |= {f"ema.{name}": value for name, value in state.ema.items()}
    for number, parts in state.optimiser.items():
        tensors |= {f"adam.{number}|{name}": value for name, value in parts.items()}
    header = {"epoch": str(state.epoch), "step": str(state.step), "best": json.dumps(state.best)}
    part = path.with_suffix(".part")
    save_file({name: value.contiguous() for name, value in tensors.items()}, part, header)
    part.replace(path)


def load(path: Path, device: torch.device) -> RunState:
    """Read what `save` wrote."""
    with safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = load_file(path, device=str(device))
    return RunState(
        epoch=int(header["epoch"]),
        step=int(header["step"]),
        best=json.loads(header["best"]),
        weights=_part(tensors, "weights."),
        ema=_part(tensors, "ema."),
        optimiser=_optimiser(_part(tensors, "adam.")),
    )


def _optimiser(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """`NUMBER|KIND` -> tensors by the parameter's number."""
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, kind = name.split("|")
        found.setdefault(int(number), {})[kind] = value
    return found


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
