"""One file is one system: int8 matrices with an fp16 scale for each output channel (embeddings: for each
word), the rest fp16; name, settings and vocabulary in the header."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from rs_text_search_plugin.models.evaluation.hub_correction import Hubs
from rs_text_search_plugin.models.systems.base import System
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rs_text_search_plugin.contracts.errors import ModelError

SYSTEMS = {
    "compact": "compact.Compact",
    "galr": "galr.Galr",
    "mtgfe": "mtgfe.Mtgfe",
    "dove": "dove.Dove",
    "mgrm_el": "mgrm_el.MgrmEl",
}
"""Name -> file and class."""
SCALE_SUFFIX = "|scale"
LESSON = "lesson."
"""What only training needs is under this name and is not saved."""


def build(name: str, vocabulary: Sequence[str], settings: Mapping[str, Any]) -> System:
    """A system with random weights. Raises ModelError when there is none of that name or a setting is not
    its."""
    if name not in SYSTEMS:
        raise ModelError(f"{name!r} cannot be trained.", f"Choose one of: {', '.join(SYSTEMS)}.")
    file, _, kind = SYSTEMS[name].partition(".")
    made: Callable[..., System] = getattr(import_module(f".systems.{file}", __package__), kind)
    try:
        return made(vocabulary, settings)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{name} has no such setting: {error}", f"See the head of models/systems/{file}.py."
        ) from error


def save(system: System, name: str, path: Path) -> None:
    """Write the shipped form, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for key, value in system.state_dict().items():
        if key.startswith(LESSON):
            continue
        if value.dim() > 1 and min(value.shape[:2]) > 3 and key.partition(".")[0] not in system.fine:
            tensors[key], tensors[key + SCALE_SUFFIX] = quantised(value)
        else:
            tensors[key] = value.half().contiguous()
    header = {"model": name, "settings": json.dumps(system.settings, sort_keys=True)}
    part = path.with_suffix(".part")
    save_file(tensors, part, {**header, "vocabulary": "\n".join(system.tokenizer.vocabulary)})
    part.replace(path)


def load(path: Path) -> System:
    """Read what `save` wrote, as fp32. Raises ModelError when the file is damaged or something else."""
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        system = build(header["model"], header["vocabulary"].split("\n"), json.loads(header["settings"]))
        state = restored(stored)
        if "hubs.texts" in state:
            system.hubs = Hubs(system.dim, len(state["hubs.texts"]))
        system.load_state_dict(state)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        hint = "Install the plugin again, or choose another file."
        raise ModelError(f"{path} is not a model of this plugin: {error}", hint) from error
    return system.eval()


def name_of(system: System) -> str:
    """What a system is called in SYSTEMS."""
    kind = f"{type(system).__module__.rpartition('.')[2]}.{type(system).__name__}"
    return next(name for name, known in SYSTEMS.items() if known == kind)


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """float (n, ...) -> int8 (n, ...) and fp16 scale (n,), symmetric, chosen so that no value saturates."""
    flat = weight.flatten(1).float()
    scale = (flat.abs().amax(1).clamp_min(1e-8) / 127).half()
    scale = torch.where(scale == 0, torch.finfo(torch.float16).tiny, scale)
    steps = (flat / scale.float()[:, None]).round().clamp(-127, 127)
    return steps.to(torch.int8).view(weight.shape), scale


def restored(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of what `save` does to a state: fp32 tensors under their own names."""
    state = {}
    for name, value in stored.items():
        if name.endswith(SCALE_SUFFIX):
            continue
        scale = stored.get(name + SCALE_SUFFIX)
        spread = value.float()
        state[name] = spread if scale is None else spread * scale.float().view(-1, *[1] * (value.dim() - 1))
    return state
