"""Requests and answers about finding: search, rerank, export."""

from dataclasses import dataclass, fields
from typing import Annotated, Optional, Union

from rs_text_search_plugin.contracts.fields import Count, Json, Range, Score, Seconds
from rs_text_search_plugin.contracts.messages import Match, Tile


@dataclass(frozen=True)
class SearchRequest:
    """Ranks the tiles of all indexes by how well they fit a text, marked tiles, or both."""

    indexes: tuple[str, ...]
    """Index folders, or rasters that have one; all made with the same model."""
    text: str = ""
    without: str = ""
    """What must not be there."""
    language: str = ""
    """Of `text` and `without`, an ISO 639-1 code such as de; empty: told from the text."""
    like: tuple[Tile, ...] = ()
    """Tiles to resemble."""
    unlike: tuple[Tile, ...] = ()
    """Tiles not to resemble."""
    like_images: tuple[str, ...] = ()
    """Image files to resemble, of which the middle square counts."""
    unlike_images: tuple[str, ...] = ()
    """Image files not to resemble."""
    top: Annotated[int, Range(1, 1e6)] = 200
    """At most so many matches."""
    min_score: Score = 0.0
    area: Optional[Json] = None
    """A GeoJSON geometry; only tiles that meet it are searched."""
    area_crs: Optional[str] = None
    """Of `area`; null: each raster's own."""
    heat: Union[bool, str] = False
    """Whether to write the scores of all tiles as GeoTIFF, or the file to write for one index."""
    rerank: Union[bool, str] = False
    """Whether to do what `rerank` does at once, or the model to do it with."""


@dataclass(frozen=True)
class Source:
    """A raster that was searched."""

    index: str
    """The index's folder."""
    source: str
    crs: Optional[str]
    """WKT2; null when it has none."""
    gsd_m: Optional[float]
    """Pixel size on the ground, m."""
    tile_px: Optional[tuple[Count, Count]] = None
    """Width and height of the index's tiles."""
    overlap: Optional[float] = None
    """Share of a tile that its neighbour covers too."""
    fingerprint: str = ""
    """sha256 of the weights of the model that made the index."""


@dataclass(frozen=True)
class Region:
    """Touching matches merged."""

    region: Count
    """From 1, the best first."""
    index: str
    """The index's folder."""
    score: Score
    """Of its best tile."""
    tiles: Count
    geometry: Json
    """GeoJSON in the raster's CRS, to the nearest stride cell."""


@dataclass(frozen=True)
class Heat:
    """The scores of all tiles of an index as a cloud-optimised GeoTIFF."""

    index: str
    path: str


@dataclass(frozen=True)
class SearchAnswer:
    """What was found."""

    query: str
    understood: str
    """How the query was understood: typing slips repaired, or put into English; empty when as it was typed."""
    model: str
    verdict: str
    """One sentence."""
    strong: Count
    """Tiles with a strong score."""
    possible: Count
    """Tiles with a possible score."""
    tiles: Count
    """Tiles searched."""
    seconds: Seconds
    histogram: tuple[Count, ...]
    """How many of all tiles' scores lie in each of 20 equal bins from 0 to 100."""
    matches: tuple[Match, ...]
    regions: tuple[Region, ...]
    reranked: bool
    """Whether the matches are in another order than that of their scores."""
    sources: tuple[Source, ...]
    heat: tuple[Heat, ...]
    language: str = "en"
    """Of the query, as it was told or set, ISO 639-1."""
    result: str = ""
    """The id by which `rerank` finds the result; the engine keeps the last few."""
    searched: Annotated[float, Range(0, 1)] = 1.0
    """Share of the planned tiles that were there to be searched; below 1 while an index is being made."""


@dataclass(frozen=True)
class RerankRequest:
    """Reorders the best matches of a result by a second, slower model; nothing is searched again. Can be cancelled.

    The answer is that of the search in another order."""

    result: str
    """Its id, as `search` gave it."""
    model: Optional[str] = None
    """A model that reranks; null: the default one."""


@dataclass(frozen=True)
class ExportedMatch:
    """A match to export: the engine takes its footprint from the index."""

    index: str
    id: Count
    rank: Count = 0
    score: Score = 0.0
    region: Count = 0


@dataclass(frozen=True)
class ExportRequest:
    """Writes matches to a vector file."""

    path: str
    """Its ending names the format: .shp .gpkg .geojson .fgb .parquet."""
    query: str
    model: str
    matches: tuple[ExportedMatch, ...]
    crs: Optional[str] = None
    """Of the file; null: the first raster's."""


@dataclass(frozen=True)
class ExportAnswer:
    """What was written."""

    path: str
    files: tuple[str, ...]
    features: Count
    warnings: tuple[str, ...]


def export_row(match: Json) -> Json:
    """What `export` needs of a match as `search` returned it."""
    return {field.name: match[field.name] for field in fields(ExportedMatch)}
