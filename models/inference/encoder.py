"""Any pair of towers as the engine's Encoder: batches that fit the device's memory, resizing on the device, unit
vectors out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.systems import clip
from rs_text_search_plugin.models.systems.base import FusionSystem, Maps, System
from rs_text_search_plugin.models.weights import sha256
from torch import Tensor
from torch.nn import functional as fn

from rs_text_search_plugin.contracts.arrays import F32, U8
from rs_text_search_plugin.contracts.errors import ModelError
from rs_text_search_plugin.contracts.protocols import Encoder

from . import runtime
from .batches import Batches, joined

PREPROCESSING = ("kind", "arch", "quick_gelu", "size_px", "mean", "std")
BATCH = {"cpu": 16, "cuda": 256}


class TwoTowers(Protocol):
    """What a model offers: unit vectors of square tiles and of texts."""

    @property
    def about(self) -> str:
        """What computes, in which precision, and why."""
        ...

    def images(self, tiles: Tensor) -> Tensor:
        """(B, S, S, 3) RGB uint8 -> (B, dim)."""
        ...

    def texts(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim)."""
        ...


class SystemTowers:
    """A system, its backbone run in the fastest way of its device or in the one chosen.

    The backbone is prepared when the first tile comes: a search by words does not wait for it."""

    def __init__(
        self, system: System, device: torch.device, choice: runtime.RuntimeChoice | None = None
    ) -> None:
        self.system, self.device, self.choice = system.to(device), device, choice

    @cached_property
    def runner(self) -> runtime.BackboneRunner:
        """Turns tiles into feature maps."""
        return runtime.backbone_runner(self.system.backbone, self.device, self.choice)

    @property
    def about(self) -> str:
        """What computes, in which precision, and why."""
        return self.runner.about

    def images(self, tiles: Tensor) -> Tensor:
        """(B, INPUT_PX, INPUT_PX, 3) RGB uint8 -> (B, dim) unit length."""
        maps = self.runner(tiles)
        exact = self.choice is not None and self.choice.precision == "fp32"
        with runtime.inference_autocast(self.device, exact=exact):
            return self.system.embed_images(maps)

    def relevance(self, tiles: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
        """(B, INPUT_PX, INPUT_PX, 3) RGB uint8 and (dim,) -> cosines (B,), and what each cell adds
        to them (B, g, g)."""
        maps = self.runner(tiles)
        return self.system.relevance(Maps(maps.middle.float(), maps.last.float()), query)  # type: ignore[operator, no-any-return]

    def texts(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim) unit length."""
        return self.system.embed_texts(texts)


class ClipTowers:
    """An open_clip model in the inference precision of its device."""

    def __init__(self, model: clip.ClipModel, device: torch.device) -> None:
        self.model, self.device = model.to(device), device

    @property
    def about(self) -> str:
        """What computes, in which precision, and why."""
        return str(runtime.torch_choice(self.device, "open_clip runs on it"))

    def images(self, tiles: Tensor) -> Tensor:
        """(B, S, S, 3) RGB uint8 -> (B, dim) unit length."""
        with runtime.inference_autocast(self.device):
            return self.model.embed_images(tiles)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim) unit length."""
        return self.model.embed_texts(texts)


class TorchEncoder:
    """An Encoder (see contracts/protocols.py) over towers that already are on `device`."""

    def __init__(
        self, entry: Mapping[str, Any], towers: TwoTowers, fingerprint: str, *, dim: int, device: str
    ) -> None:
        self.name: str = entry["name"]
        self.size: int = entry["size_px"]
        self.fingerprint, self.towers, self.dim, self.device = fingerprint, towers, dim, device
        self.batches = Batches(BATCH[torch.device(device).type])

    @property
    def batch(self) -> int:
        """Tiles it is best given at once."""
        return self.batches.size

    @property
    def about(self) -> str:
        """What computes, in which precision, and why."""
        return self.towers.about

    @torch.inference_mode()
    def images(self, tiles: U8) -> F32:
        """(n, h, w, 3) RGB uint8 -> (n, dim) unit length. Raises ModelError when not even one tile fits."""
        return joined(self.batches.run(self._embed, tiles), self.dim)

    @torch.inference_mode()
    def texts(self, texts: list[str]) -> F32:
        """n texts -> (n, dim) unit length."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        return self.towers.texts(texts).float().cpu().numpy()

    def _embed(self, tiles: U8) -> F32:
        x = resized(to_tensor(tiles).to(self.device), self.size)
        return self.towers.images(x).float().cpu().numpy()


class SpatialTorchEncoder(TorchEncoder):
    """A SpatialEncoder (see contracts/protocols.py) over a system that can tell what each cell adds."""

    towers: SystemTowers

    @torch.inference_mode()
    def relevance(self, tiles: U8, query: F32) -> tuple[F32, F32]:
        """(n, h, w, 3) RGB uint8 and (dim,) -> cosines (n,), and (n, g, g) what each cell adds to them."""
        vector = torch.from_numpy(query).to(self.device)

        def compare(part: U8) -> tuple[F32, F32]:
            x = resized(to_tensor(part).to(self.device), self.size)
            cosines, shares = self.towers.relevance(x, vector)
            return cosines.cpu().numpy(), shares.cpu().numpy()

        cosines, shares = zip(*self.batches.run(compare, tiles), strict=True)
        return np.concatenate(cosines), np.concatenate(shares)


def has_fusion(encoder: Encoder) -> bool:
    """Whether the model also has a fusion encoder, which scores an image and a text together."""
    towers = getattr(encoder, "towers", None)
    return isinstance(towers, SystemTowers) and isinstance(towers.system, FusionSystem)


def to_tensor(tiles: U8) -> Tensor:
    """(n, h, w, 3), perhaps mirrored or read-only, which torch does not take -> the same as a tensor."""
    return torch.from_numpy(np.require(tiles, requirements=("C", "W")))


def resized(tiles: Tensor, size: int) -> Tensor:
    """(n, h, w, 3) uint8 -> (n, size, size, 3) uint8, bilinear with antialiasing, as Pillow does it."""
    if tiles.shape[1:3] == (size, size):
        return tiles
    x = tiles.permute(0, 3, 1, 2)
    if x.is_cuda:  # torch resizes bytes on a CPU only, where it is ten times faster than resizing floats
        x = x.float()
    x = fn.interpolate(x, (size, size), mode="bilinear", antialias=True)
    return x.round().to(torch.uint8).permute(0, 2, 3, 1)


def build(entry: Mapping[str, Any], path: Path, device: str) -> TorchEncoder:
    """A registry entry (with its `name`) and its weights -> an encoder on `device`. Raises ModelError."""
    towers: SystemTowers | ClipTowers
    if entry["kind"] == "system":
        system = checkpoint.load(path)
        towers, dim = SystemTowers(system, torch.device(device)), system.dim
    elif entry["kind"] == "clip":
        towers, dim = ClipTowers(clip.load(path, entry), torch.device(device)), entry["dim"]
    else:
        hint = "Write `system` or `clip`; see docs/own-models.md."
        raise ModelError(f"{entry['name']} is of an unknown kind, {entry['kind']!r}.", hint)
    spatial = isinstance(towers, SystemTowers) and hasattr(towers.system, "relevance")
    made = SpatialTorchEncoder if spatial else TorchEncoder
    return made(entry, towers, fingerprint(entry, path), dim=dim, device=device)


def fingerprint(entry: Mapping[str, Any], path: Path) -> str:
    """sha256 over the weights and whatever decides how a tile enters the network."""
    settings = (f"{key}={entry.get(key)}" for key in PREPROCESSING)
    parts = [sha256(path), "bilinear antialiased bytes", *settings]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
