"""Any two towers as the engine's Encoder: batches, resizing on the device, unit vectors out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.evaluation.hub_correction import Hubs
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
    """What a model file offers: unit vectors of squares and of texts."""

    @property
    def about(self) -> str:
        """What does the work, in which precision, and why."""
        ...

    def images(self, tiles: Tensor) -> Tensor:
        """(B, S, S, 3) RGB uint8 -> (B, dim)."""
        ...

    def texts(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim)."""
        ...


class Seeing:
    """A system behind the sight that suits its device, or the one chosen.

    It opens its eyes when the first tile comes or when it is asked how it sees: a search by words need not
    wait for that."""

    def __init__(self, system: System, device: torch.device, choice: runtime.Choice | None = None) -> None:
        self.system, self.device, self.choice = system.to(device), device, choice

    @cached_property
    def sight(self) -> runtime.Sight:
        """What turns tiles into maps."""
        return runtime.sight(self.system.backbone, self.device, self.choice)

    @property
    def about(self) -> str:
        """What does the work, in which precision, and why."""
        return self.sight.about

    def images(self, tiles: Tensor) -> Tensor:
        """(B, INPUT_PX, INPUT_PX, 3) RGB uint8 -> (B, dim) unit length."""
        maps = self.sight(tiles)
        exact = self.choice is not None and self.choice.precision == "fp32"
        with runtime.precision(self.device, exact=exact):
            return self.system.embed_images(maps)

    def relevance(self, tiles: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
        """(B, INPUT_PX, INPUT_PX, 3) RGB uint8 and (dim,) -> cosines (B,), and what each place adds
        to them (B, g, g)."""
        maps = self.sight(tiles)
        return self.system.relevance(Maps(maps.middle.float(), maps.last.float()), query)  # type: ignore[operator]

    def texts(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim) unit length."""
        return self.system.embed_texts(texts)


class TorchEncoder:
    """An Encoder (see contracts/protocols.py) over towers that already are on `device`."""

    def __init__(
        self, name: str, towers: TwoTowers, fingerprint: str, *, dim: int, size: int, device: torch.device
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.dim = dim
        self.size = size
        self.device = str(device)
        self.batches = Batches(BATCH[device.type])
        self.towers = towers
        self.hubs: Hubs | None = None
        """For `likeness`, where the model knows them."""

    @property
    def batch(self) -> int:
        """Tiles it is best given at once."""
        return self.batches.size

    @property
    def about(self) -> str:
        """What does the work, in which precision, and why."""
        return self.towers.about

    def images(self, tiles: U8) -> F32:
        """(n, h, w, 3) RGB uint8 -> (n, dim) unit length."""
        with torch.inference_mode():
            return joined(self.batches.run(self._embed, tiles), self.dim)

    def _embed(self, tiles: U8) -> F32:
        x = squares(_tensor(tiles).to(self.device), self.size)
        return self.towers.images(x).float().cpu().numpy()

    def texts(self, texts: list[str]) -> F32:
        """n texts -> (n, dim) unit length."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        with torch.inference_mode():
            return self.towers.texts(texts).float().cpu().numpy()


class SpatialTorchEncoder(TorchEncoder):
    """A SpatialEncoder (see contracts/protocols.py) over a system that can tell what each place adds."""

    towers: Seeing

    def relevance(self, tiles: U8, query: F32) -> tuple[F32, F32]:
        """(n, h, w, 3) RGB uint8 and (dim,) -> cosines (n,), and (n, g, g) what each place adds to them."""
        wanted = torch.from_numpy(query).to(self.device)

        def compare(part: U8) -> tuple[F32, F32]:
            x = squares(_tensor(part).to(self.device), self.size)
            cosines, shares = self.towers.relevance(x, wanted)
            return cosines.cpu().numpy(), shares.cpu().numpy()

        with torch.inference_mode():
            cosines, shares = zip(*self.batches.run(compare, tiles), strict=True)
        return np.concatenate(cosines), np.concatenate(shares)


def likeness(encoder: Encoder, images: F32, texts: F32) -> F32:
    """How pictures (n, dim) and texts (m, dim) match for retrieval both ways (n, m): cosines, less what is due to
    hubs where the model knows them."""
    hubs: Hubs | None = getattr(encoder, "hubs", None)
    if hubs is None:
        return np.asarray(images @ texts.T)
    with torch.inference_mode():
        both = (torch.from_numpy(vectors).to(hubs.texts.device) for vectors in (images, texts))
        return hubs.likeness(*both).cpu().numpy()  # type: ignore[no-any-return]


def fuses(encoder: Encoder) -> bool:
    """Whether the model also looks at pictures and texts together."""
    towers = getattr(encoder, "towers", None)
    return isinstance(towers, Seeing) and isinstance(towers.system, FusionSystem)


def _tensor(tiles: U8) -> Tensor:
    # torch warns about memory that it may not write to, such as a mapped file, and takes no mirrored view
    return torch.from_numpy(np.require(tiles, requirements=("C", "W")))


def squares(tiles: Tensor, size: int) -> Tensor:
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
    place = torch.device(device)
    towers: Seeing | clip.ClipTowers
    if entry["kind"] == "system":
        system = checkpoint.load(path)
        towers, dim = Seeing(system, place), system.dim
    elif entry["kind"] == "clip":
        towers, dim = clip.load(path, entry).to(place), entry["dim"]
    else:
        hint = "Write `system` or `clip`; see docs/own-models.md."
        raise ModelError(f"{entry['name']} is of an unknown kind, {entry['kind']!r}.", hint)
    mark = fingerprint(entry, path)
    made = (
        SpatialTorchEncoder
        if isinstance(towers, Seeing) and hasattr(towers.system, "relevance")
        else TorchEncoder
    )
    encoder = made(entry["name"], towers, mark, dim=dim, size=entry["size_px"], device=place)
    encoder.hubs = towers.system.hubs if isinstance(towers, Seeing) else None
    return encoder


def fingerprint(entry: Mapping[str, Any], path: Path) -> str:
    """sha256 over the weights and whatever decides how a tile enters the network."""
    parts = [
        sha256(path),
        "bilinear antialiased bytes",
        *(f"{key}={entry.get(key)}" for key in PREPROCESSING),
    ]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
