"""Request and answer about where inside its tile a match lies: zoom."""

from dataclasses import dataclass
from typing import Annotated, Optional

from rs_text_search_plugin.contracts.fields import Count, Range, Score, Seconds
from rs_text_search_plugin.contracts.messages import Corners


@dataclass(frozen=True)
class ZoomRequest:
    """Reads the pixels of the best matches of a result again, in finer windows, and tells where the thing is. Can be
    cancelled; progress counts matches."""

    result: str
    """As `search` named it; the engine keeps the last few."""
    top: Annotated[int, Range(1, 1000)] = 16
    """How many matches, the best first."""
    seconds: Annotated[float, Range(0, 3600)] = 10.0
    """After so long no further match is begun."""
    relevance: bool = False
    """Whether to write a map of what speaks for the query inside each tile."""
    path: Optional[str] = None
    """A vector file for the boxes; its ending names the format, as for `export`."""


@dataclass(frozen=True)
class PointedMatch:
    """A match with the place inside its tile."""

    index: str
    """The index's folder."""
    id: Count
    x: float
    """Of the point, in the raster's CRS."""
    y: float
    corners: Corners
    """Of the box around the thing, in the raster's CRS."""
    score: Score
    """Calibrated: that of the tile or of its best window, whichever is higher."""
    relevance: Optional[str] = None
    """A GeoTIFF over the tile, 0-1, that lives until the engine ends."""


@dataclass(frozen=True)
class ZoomAnswer:
    """The points in the order of the matches."""

    points: tuple[PointedMatch, ...]
    complete: bool
    """False when the time ran out before all matches asked for were done."""
    seconds: Seconds
    unread: tuple[str, ...] = ()
    """Why the pixels of some matches could not be read."""
    files: tuple[str, ...] = ()
    """What was written to `path`."""
