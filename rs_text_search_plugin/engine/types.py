"""Values that cross from one engine file to another, and what the engine asks of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

U8: TypeAlias = npt.NDArray[np.uint8]
F32: TypeAlias = npt.NDArray[np.float32]
I64: TypeAlias = npt.NDArray[np.int64]
I32: TypeAlias = npt.NDArray[np.int32]


@runtime_checkable
class Encoder(Protocol):
    """Maps tiles and texts into one space of unit vectors, where a dot product is their likeness."""

    name: str
    fingerprint: str
    """sha256 of weights and preprocessing, 64 hex digits; part of every index."""
    dim: int
    """Length of an embedding."""
    size: int
    """Side of the square the network sees, px. Tiles of any size are resized to it on the device."""

    def images(self, tiles: U8) -> F32:
        """(n, h, w, 3) RGB uint8 -> (n, dim) unit length."""
        ...

    def texts(self, texts: list[str]) -> F32:
        """n texts -> (n, dim) unit length."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Scores text-tile pairs together; slower and finer than an Encoder."""

    name: str

    def pairs(self, text: str, tiles: U8) -> F32:
        """(n, h, w, 3) RGB uint8 -> (n,) probability that the text fits, 0-1."""
        ...


@dataclass(frozen=True)
class Window:
    """A tile's place in its raster, in full-resolution px; y grows south."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Query:
    """What a person asks for. Examples are (index folder, tile id)."""

    text: str = ""
    without: str = ""
    like: tuple[tuple[str, int], ...] = ()
    unlike: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Match:
    """A tile with a score. `corners` is the footprint in its raster's CRS: 4 (x, y), clockwise from the upper left."""

    index: str
    id: int
    row: int
    col: int
    score: float
    """Calibrated, 0-100."""
    rank: int
    """From 1."""
    region: int
    """Number of the region of touching matches it belongs to, from 1; 0 when in none."""
    window: Window
    corners: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Tag:
    """One entry of the vocabulary, as found in a tile."""

    name: str
    group: str
    """land cover, land use, object or attribute."""
    score: float
    """Calibrated, 0-100."""


@dataclass(frozen=True)
class Description:
    """What stands in a tile: ranked tags and one sentence made of those that are sure."""

    index: str
    id: int
    corners: tuple[tuple[float, float], ...]
    sentence: str
    sure: bool
    tags: tuple[Tag, ...] = field(default=())
