"""Request and answer about what is in a raster as a whole: contents."""

from dataclasses import dataclass
from typing import Annotated, Optional

from rs_text_search_plugin.contracts.fields import Count, Range, Score, Seconds


@dataclass(frozen=True)
class ContentsRequest:
    """Which entries of the vocabulary are to be found in indexes, and where most surely. Can be cancelled."""

    indexes: tuple[str, ...]
    """Index folders, or rasters that have one; all made with the same model."""


@dataclass(frozen=True)
class ContentsRow:
    """An entry of the vocabulary that is found."""

    name: str
    """What to search for to see it."""
    group: str
    """land cover, land use, object or attribute."""
    places: Count
    """Regions of touching tiles that score as possible or better."""
    tiles: Count
    """Such tiles."""
    area_m2: Optional[Annotated[float, Range(0, 1e18)]]
    """Ground that such tiles cover; null when a raster has no CRS."""
    score: Score
    """Of the best tile."""
    index: str
    """The best tile's index and id."""
    id: Count


@dataclass(frozen=True)
class ContentsAnswer:
    """The table, entries in most places first."""

    rows: tuple[ContentsRow, ...]
    tiles: Count
    """Tiles looked through."""
    seconds: Seconds
