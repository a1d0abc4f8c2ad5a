"""Weight files: one safetensors file is one system.

Matrices are int8 with an fp16 scale for each output channel (for embeddings: each word), everything else is
fp16; the system's name, settings and vocabulary are in the header. A file may also hold the hub centres that
`evaluation.hub_correction` reads; a system does not need them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
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
TRAIN_ONLY = "train_heads."
"""Prefix of the parameters that only training needs; they are not saved."""
HUB_CENTRES = "hubs."
"""Prefix of the tensors that are for evaluation alone."""
RENAMED = (
    (r"^words\.tower\.", "word_encoder.tower."),
    (r"^(text|word_encoder\.tower)\.words\.", r"\1.word_embedding."),
    (r"^(text|word_encoder\.tower)\.places\.", r"\1.position_embedding."),
    (r"^backbone\.peaks$", "backbone.activation_ranges"),
    (r"^eyes\.", "image_encoder."),
    (r"^phrases\.", "phrase_encoder."),
    (r"^image_head\.attend\.", "image_head.attention."),
    (r"^text_head\.straight\.", "text_head.linear."),
)
"""Names of tensors in files written before 0.2 -> their names in the systems."""


def build(name: str, vocabulary: Sequence[str], settings: Mapping[str, Any]) -> System:
    """A system with random weights. Raises ModelError for an unknown name or setting."""
    if name not in SYSTEMS:
        raise ModelError(f"{name!r} cannot be trained.", f"Choose one of: {', '.join(SYSTEMS)}.")
    file, _, kind = SYSTEMS[name].partition(".")
    made: Callable[..., System] = getattr(import_module(f".systems.{file}", __package__), kind)
    try:
        return made(vocabulary, settings)
    except (TypeError, ValueError) as error:
        hint = f"See the head of models/systems/{file}.py."
        raise ModelError(f"{name} has no such setting: {error}", hint) from error


def save(system: System, name: str, path: Path) -> None:
    """Write the shipped form, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for key, value in system.state_dict().items():
        if not key.startswith(TRAIN_ONLY):
            tensors |= _stored(key, value, key.partition(".")[0] not in system.half_precision_parts)
    header = {"model": name, "settings": json.dumps(system.settings, sort_keys=True)}
    _write(path, tensors, {**header, "vocabulary": "\n".join(system.tokenizer.vocabulary)})


def load(path: Path) -> System:
    """Read what `save` wrote, as fp32 on the CPU. Raises ModelError for a damaged or foreign file."""
    try:
        header, stored = _read(path)
        system = build(header["model"], header["vocabulary"].split("\n"), json.loads(header["settings"]))
        state = dequantise(stored)
        system.load_state_dict({k: v for k, v in state.items() if not k.startswith(HUB_CENTRES)})
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        hint = "Install the plugin again, or choose another file."
        raise ModelError(f"{path} is not a model of this plugin: {error}", hint) from error
    return system.eval()


def read_tensors(path: Path, prefix: str) -> dict[str, Tensor]:
    """The tensors (fp32) of a file whose names start with `prefix`, without it. Raises ModelError."""
    try:
        with safe_open(path, "pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f"{path} cannot be read: {error}", "Choose another file.") from error
    return {name.removeprefix(prefix): value for name, value in dequantise(stored).items()}


def replace_tensors(path: Path, changes: Mapping[str, Tensor]) -> None:
    """Write a file anew with some tensors added or replaced; the others stay bit for bit."""
    header, tensors = _read(path)
    for key, value in changes.items():
        tensors |= _stored(key, value, eight_bits=True)
    _write(path, tensors, header)


def name_of(system: System) -> str:
    """What a system is called in SYSTEMS."""
    kind = f"{type(system).__module__.rpartition('.')[2]}.{type(system).__name__}"
    return next(name for name, known in SYSTEMS.items() if known == kind)


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """float (n, ...) -> int8 (n, ...) and fp16 scale (n,), symmetric, chosen so that no value saturates."""
    flat = weight.flatten(1).float()
    scale = (flat.abs().amax(1).clamp_min(1e-8) / 127).half()
    scale = torch.where(scale == 0, torch.finfo(torch.float16).tiny, scale)
    levels = (flat / scale.float()[:, None]).round().clamp(-127, 127)
    return levels.to(torch.int8).view(weight.shape), scale


def dequantise(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as they are in a file -> fp32 tensors under their own names."""
    state = {}
    for name, value in stored.items():
        if name.endswith(SCALE_SUFFIX):
            continue
        scale = stored.get(name + SCALE_SUFFIX)
        full = value.float()
        state[name] = full if scale is None else full * scale.float().view(-1, *[1] * (value.dim() - 1))
    return state


def _stored(key: str, value: Tensor, eight_bits: bool) -> dict[str, Tensor]:
    """What a file holds of one tensor: int8 and scale for a matrix, else fp16."""
    if eight_bits and value.dim() > 1 and min(value.shape[:2]) > 3:
        levels, scale = quantise(value)
        return {key: levels, key + SCALE_SUFFIX: scale}
    return {key: value.half().contiguous()}


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header, and the tensors as they are in the file under today's names."""
    with safe_open(path, "pt") as file:
        stored = {_today(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return file.metadata() or {}, stored


def _write(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    part = path.with_suffix(".part")
    save_file(tensors, part, header)
    part.replace(path)


def _today(name: str) -> str:
    for old, new in RENAMED:
        name = re.sub(old, new, name)
    return name
