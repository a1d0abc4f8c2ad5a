"""Models: which there are, on which device they run, and how to load one. Nothing heavy is imported until one
is loaded."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomllib

from rs_text_search_plugin.engine.errors import ModelError

from .weights import Consent, Remote, fetch

if TYPE_CHECKING:
    from rs_text_search_plugin.engine.types import Encoder, Reranker

__all__ = ["Device", "ModelInfo", "available", "choose_device", "devices", "load", "load_reranker"]

DEFAULT = "compact"


@dataclass(frozen=True)
class ModelInfo:
    """One line of the list of models."""

    name: str
    title: str
    summary: str
    dim: int
    size_px: int
    bytes: int
    licence: str
    installed: bool
    """Whether the weights are on this computer."""
    reranker: bool
    card: str | None
    """Path of the model card."""


@dataclass(frozen=True)
class Device:
    """Where a model runs: `cpu` or `cuda:N`, its name for people, and why it was chosen."""

    name: str
    label: str
    reason: str


def available() -> list[ModelInfo]:
    """Every model of the registry, the default first."""
    return [_info(name, entry) for name, entry in registry().items()]


@cache
def registry() -> dict[str, dict[str, Any]]:
    """registry.toml as it stands."""
    return tomllib.loads(_folder().joinpath("registry.toml").read_text("utf-8"))


def load(name: str = DEFAULT, device: str = "auto", consent: Consent = lambda _remote: False) -> Encoder:
    """A model of the registry, a `compact` checkpoint (.safetensors), or a .toml file with an entry like the
    registry's.

    `consent` is asked before anything is downloaded. Raises ModelError when the model, its weights or the
    device is not to be had."""
    entry = _entry(name)
    if not entry:
        raise ModelError(f"There is no model {name!r}.", f"Choose one of: {', '.join(registry())}.")
    path = _weights(name, entry, consent)
    from . import encoder  # noqa: PLC0415 - brings torch

    return encoder.build(entry, path, choose_device(device).name)


def load_reranker(name: str = DEFAULT, device: str = "auto") -> Reranker:
    """The second stage of a model. Raises ModelError: no model in the registry has one so far."""
    raise ModelError(f"{name} has no second stage on {device}.", "Search without reranking.")


def choose_device(wanted: str = "auto") -> Device:
    """`auto`, `cpu` or `cuda:N` -> Device. Raises ModelError when that GPU is not there."""
    found = {device.name: device for device in devices()}
    if wanted == "auto":
        return next(iter(found.values()))
    name = "cuda:0" if wanted == "cuda" else wanted
    if name not in found:
        raise ModelError(f"There is no device {wanted!r}.", f"Choose one of: auto, {', '.join(found)}.")
    return Device(name, found[name].label, "chosen by you")


@cache
def devices() -> tuple[Device, ...]:
    """Every device torch can use here, the fastest first."""
    import torch  # noqa: PLC0415

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = tuple(
        Device(f"cuda:{i}", torch.cuda.get_device_name(i), "a CUDA GPU is the fastest here")
        for i in range(count)
    )
    why = "a CUDA GPU is there, but you may spare it" if gpus else _why_no_gpu(torch.version.cuda)
    return (*gpus, Device("cpu", f"{platform.machine()} CPU, {os.cpu_count()} cores", why))


def _why_no_gpu(cuda: str | None) -> str:
    return "no CUDA GPU was found" if cuda else "this torch was built without CUDA"


def _entry(name: str) -> dict[str, Any]:
    """What is known about a model, with its `name`; empty when it is none."""
    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        local = tomllib.loads(path.read_text("utf-8"))
        return {**local, "name": path.stem, "file": str(path.parent / local["file"])}
    if path.suffix == ".safetensors" and path.is_file():
        return {**registry()[DEFAULT], "name": path.stem, "file": str(path.resolve())}
    return {**registry()[name], "name": name} if name in registry() else {}


def _weights(name: str, entry: dict[str, Any], consent: Consent) -> Path:
    if "file" not in entry:
        return fetch(_remote(name, entry), consent)
    path = _local(entry)
    if not path.is_file():
        raise ModelError(f"The weights of {name} are missing: {path}", "Install the plugin again.")
    return path


def _local(entry: dict[str, Any]) -> Path:
    return _folder() / "weights" / str(entry["file"])  # an absolute `file` stays what it is


def _remote(name: str, entry: dict[str, Any]) -> Remote:
    return Remote(name, entry["url"], entry["bytes"], entry["sha256"], entry["licence"])


def _info(name: str, entry: dict[str, Any]) -> ModelInfo:
    path = _local(entry) if "file" in entry else _remote(name, entry).path
    card = _folder() / "cards" / f"{name}.md"
    shown = {key: entry[key] for key in ("title", "summary", "dim", "size_px", "licence")}
    return ModelInfo(
        name=name,
        **shown,
        bytes=path.stat().st_size if path.is_file() else entry.get("bytes", 0),
        installed=path.is_file(),
        reranker=bool(entry.get("reranker")),
        card=str(card) if card.is_file() else None,
    )


def _folder() -> Path:
    return Path(str(resources.files(__package__)))
