"""Requests and answers about single tiles: describe, locate, thumbnails."""

from dataclasses import dataclass
from typing import Annotated, Optional

from rs_text_search_plugin.contracts.fields import Count, Range
from rs_text_search_plugin.contracts.messages import Corners, Description, Tile


@dataclass(frozen=True)
class DescribeRequest:
    """What stands in the tile named, or in the one whose centre is nearest to a point."""

    indexes: tuple[str, ...] = ()
    """With a point: the indexes that may hold its tile."""
    x: Optional[float] = None
    y: Optional[float] = None
    crs: Optional[str] = None
    """Of the point; null: each raster's own."""
    index: Optional[str] = None
    """With `id`: the tile."""
    id: Optional[Count] = None
    language: str = "en"
    """Of the tags' labels, such as de or pt_BR."""


@dataclass(frozen=True)
class _TileCrs:
    crs: Optional[str] = None
    """Of the corners; null when the raster has none."""


@dataclass(frozen=True)
class DescribeAnswer(_TileCrs, Description):
    """The tile in words."""


@dataclass(frozen=True)
class LocateRequest:
    """The tiles over a point."""

    indexes: tuple[str, ...]
    x: float
    y: float
    crs: Optional[str] = None
    """Of the point; null: each raster's own."""


@dataclass(frozen=True)
class LocatedTile(Tile):
    """A tile over the point."""

    corners: Corners
    crs: Optional[str]
    """Of the corners; null when the raster has none."""


@dataclass(frozen=True)
class LocateAnswer:
    """Index by index, nearest centre first; empty when no tile covers the point."""

    tiles: tuple[LocatedTile, ...]


@dataclass(frozen=True)
class ThumbnailsRequest:
    """Small images of tiles."""

    index: str
    ids: tuple[Count, ...]
    size: Annotated[int, Range(1, 4096)] = 128
    """Side, px."""


@dataclass(frozen=True)
class ThumbnailsAnswer:
    """The images."""

    paths: tuple[str, ...]
    """PNG files in the order of `ids`; they live until the engine ends."""
