"""Request and answer about two rasters of the same place: change."""

from dataclasses import dataclass
from typing import Annotated, Literal, Optional

from rs_text_search_plugin.contracts.fields import Count, Range, Score, Seconds
from rs_text_search_plugin.contracts.messages import Corners


@dataclass(frozen=True)
class ChangeRequest:
    """Ranks places by how much a phrase gained or lost between two rasters. Can be cancelled."""

    before: str
    """The index folder of the earlier raster, or the raster."""
    after: str
    """The same of the later one; both made with the same model."""
    text: str
    top: Annotated[int, Range(1, 1000)] = 50
    """At most so many places."""
    least: Score = 20.0
    """Points of score that a place must have gained or lost."""


@dataclass(frozen=True)
class ChangedPlace:
    """A tile whose score differs from that of the same ground in the other raster."""

    rank: Count
    direction: Literal["gained", "lost"]
    change: Annotated[float, Range(-100, 100)]
    """Score after less score before."""
    score_before: Score
    score_after: Score
    index: str
    """The index of the tile: the later raster's where something was gained, else the earlier one's."""
    id: Count
    other_index: str
    other_id: Count
    """The tile of the other index that covers most of the same ground."""
    corners: Corners
    crs: Optional[str]
    """Of the corners; null when the raster has none."""
    checked: bool
    """Whether the other raster's pixels were read at exactly this place."""


@dataclass(frozen=True)
class ChangeAnswer:
    """What changed."""

    query: str
    verdict: str
    """One sentence."""
    places: tuple[ChangedPlace, ...]
    """The largest change first."""
    seconds: Seconds
