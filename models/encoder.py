"""Any two-tower torch module as the engine's Encoder: batches, resizing and normalising on the device, unit
vectors out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as fn

from rs_text_search_plugin.engine.types import F32, U8

from . import checkpoint, clip
from .system import System
from .weights import sha256

PREPROCESSING = ("kind", "arch", "quick_gelu", "size_px", "mean", "std")
BATCH = {"cpu": 16, "cuda": 256}


class TwoTowers(Protocol):
    """What a model file offers: unit vectors of squares in 0-1 and of texts."""

    def images(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) RGB in 0-1 -> (B, dim)."""
        ...

    def texts(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim)."""
        ...


class TorchEncoder:
    """An Encoder (see engine/types.py) over a model that already is on `device` and in its precision."""

    def __init__(
        self, name: str, towers: TwoTowers, fingerprint: str, *, dim: int, size: int, device: torch.device
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.dim = dim
        self.size = size
        self.device = device
        self.towers = towers

    def images(self, tiles: U8) -> F32:
        """(n, h, w, 3) RGB uint8 -> (n, dim) unit length."""
        found = np.empty((len(tiles), self.dim), np.float32)
        step = BATCH[self.device.type]
        with torch.inference_mode(), self._precision():
            for start in range(0, len(tiles), step):
                x = squares(_tensor(tiles[start : start + step]).to(self.device), self.size)
                found[start : start + step] = self.towers.images(x).float().cpu().numpy()
        return found

    def texts(self, texts: list[str]) -> F32:
        """n texts -> (n, dim) unit length."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        with torch.inference_mode():
            return self.towers.texts(texts).float().cpu().numpy()

    def _precision(self) -> torch.autocast:
        # on a CPU the module itself is cast, which spares a conversion for each layer
        return torch.autocast("cuda", torch.float16, enabled=self.device.type == "cuda")


def _tensor(tiles: U8) -> Tensor:
    # torch warns about memory that it may not write to, such as a mapped file
    return torch.from_numpy(np.require(tiles, requirements="W"))


def squares(tiles: Tensor, size: int) -> Tensor:
    """(n, h, w, 3) uint8 -> (n, 3, size, size) float in 0-1, bilinear with antialiasing."""
    x = tiles.permute(0, 3, 1, 2).float()
    if x.shape[2:] != (size, size):
        x = fn.interpolate(x, (size, size), mode="bilinear", antialias=True)
    return x / 255


def has_bf16(device: torch.device) -> bool:
    """Whether this CPU multiplies bf16 in hardware; elsewhere torch emulates it, slowly."""
    checks = [getattr(torch.cpu, f"_is_{kind}_supported", None) for kind in ("avx512_bf16", "amx_tile")]
    return device.type == "cpu" and any(check() for check in checks if check)


def build(entry: Mapping[str, Any], path: Path, device: str) -> TorchEncoder:
    """A registry entry (with its `name`) and its weights -> an encoder on `device`."""
    place = torch.device(device)
    towers: System | clip.ClipTowers
    if entry["kind"] == "system":
        towers = checkpoint.load(path)
        if has_bf16(place):
            towers.backbone.to(torch.bfloat16)
        towers.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    else:
        towers = clip.load(path, entry)
    return TorchEncoder(
        entry["name"],
        towers.to(place).eval(),
        fingerprint(entry, path),
        dim=towers.dim if isinstance(towers, System) else entry["dim"],
        size=entry["size_px"],
        device=place,
    )


def fingerprint(entry: Mapping[str, Any], path: Path) -> str:
    """sha256 over the weights and whatever decides how a tile enters the network."""
    parts = [sha256(path), "bilinear antialiased", *(f"{key}={entry.get(key)}" for key in PREPROCESSING)]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
