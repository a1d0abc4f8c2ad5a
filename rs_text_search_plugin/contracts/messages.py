"""Values that several operations share. Annotations are read at run time, on Python 3.9 too: no `X | Y` here."""

from dataclasses import dataclass, field
from typing import Annotated, Optional

from .fields import Count, Range, Score, Seconds

Point = tuple[float, float]
"""x and y in a raster's CRS."""
Corners = tuple[Point, ...]
"""The 4 corners of a footprint, clockwise from the upper left."""


@dataclass(frozen=True)
class Window:
    """A tile's place in its raster, in full-resolution px; y grows south. In JSON it is [x, y, width, height]."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Tile:
    """A tile of an index."""

    index: str
    """The index's folder, or the raster that it lies beside."""
    id: Count


@dataclass(frozen=True)
class Query:
    """What a person asks for. Examples are (index folder, tile id)."""

    text: str = ""
    without: str = ""
    like: tuple[tuple[str, int], ...] = ()
    unlike: tuple[tuple[str, int], ...] = ()
    language: str = ""
    """ISO 639-1 code; empty: told from the text."""
    like_images: tuple[str, ...] = ()
    """Image files to resemble."""
    unlike_images: tuple[str, ...] = ()

    def has_examples(self) -> bool:
        """Whether tiles or images were given to resemble or not to resemble."""
        return bool(self.like or self.unlike or self.like_images or self.unlike_images)


@dataclass(frozen=True)
class Match:
    """A tile with a score."""

    index: str
    """The index's folder."""
    id: Count
    row: Count
    col: Count
    score: Score
    """Calibrated."""
    rank: Annotated[int, Range(1, 2**53)]
    region: Count
    """Number of the region of touching matches it belongs to, from 1; 0 when in none."""
    window: Window
    corners: Corners
    level: Count = 0
    """0 is the finest; a tile of the next has twice the side."""


@dataclass(frozen=True)
class Tag:
    """One entry of the vocabulary, as found in a tile."""

    name: str
    group: str
    """land cover, land use, object or attribute."""
    score: Score
    """Calibrated."""
    label: str = ""
    """The name in the language asked for; English where the vocabulary has no other."""


@dataclass(frozen=True)
class Description:
    """What stands in a tile: ranked tags and one sentence made of those that are sure."""

    index: str
    """The index's folder."""
    id: Count
    corners: Corners
    sentence: str
    sure: bool
    """Whether the best tag is strong."""
    tags: tuple[Tag, ...] = field(default=())


@dataclass(frozen=True)
class Progress:
    """How far an operation is."""

    done: Count
    total: Count
    message: str
    """The same for people."""
    rate: Optional[float] = None
    """Tiles (of a download: bytes) a second; null at first."""
    eta_s: Optional[Seconds] = None
    """Seconds left, at that rate."""
