"""Values that cross from one part of the engine, or from one process, to another."""

from __future__ import annotations

from dataclasses import dataclass, field


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
