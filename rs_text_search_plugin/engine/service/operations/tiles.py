"""describe, locate, thumbnails."""

from __future__ import annotations

import hashlib

from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.contracts.operations.tiles import (
    DescribeAnswer,
    DescribeRequest,
    LocateAnswer,
    LocatedTile,
    LocateRequest,
    ThumbnailsAnswer,
    ThumbnailsRequest,
)
from rs_text_search_plugin.engine.index.store import Index
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.output import thumbnails as thumbnailing
from rs_text_search_plugin.engine.search import describe as describing
from rs_text_search_plugin.engine.search import locate as locating
from rs_text_search_plugin.engine.service.session import Session


def describe(session: Session, request: DescribeRequest, job: Job) -> DescribeAnswer:
    """What stands in the tile named, or in the one whose centre is nearest to a point."""
    index, tile = _tile_of(session, request, job)
    opened = session.index(index)
    found = describing.describe(opened, tile, session.encoder_of([opened]), request.language)
    return DescribeAnswer(**vars(found), crs=opened.meta.crs)


def _tile_of(session: Session, request: DescribeRequest, job: Job) -> tuple[str, int]:
    """Index and id of the tile to describe. Raises: QueryError."""
    if request.index is not None and request.id is not None:
        return request.index, request.id
    if request.x is None or request.y is None:
        hint = "Give `index` and `id`, or `indexes`, `x` and `y`."
        raise QueryError("describe: neither a tile nor a point is named.", hint)
    tiles = locate(session, LocateRequest(request.indexes, request.x, request.y, request.crs), job).tiles
    if not tiles:
        message = f"No indexed tile covers {request.x:g}, {request.y:g}."
        raise QueryError(message, "Choose a place inside an indexed raster.")
    return tiles[0].index, tiles[0].id


def locate(session: Session, request: LocateRequest, job: Job) -> LocateAnswer:
    """The tiles over a point, index by index, nearest centre first."""
    opened = [session.index(name) for name in request.indexes]
    return LocateAnswer(tuple(tile for index in opened for tile in _tiles_at(index, request)))


def _tiles_at(index: Index, request: LocateRequest) -> list[LocatedTile]:
    positions = locating.tiles_at(index, request.x, request.y, request.crs)
    corners = index.corners(positions).tolist()
    ids = index.ids[positions].tolist()
    return [
        LocatedTile(str(index.folder), tile, tuple(map(tuple, ring)), index.meta.crs)
        for tile, ring in zip(ids, corners, strict=True)
    ]


def thumbnails(session: Session, request: ThumbnailsRequest, job: Job) -> ThumbnailsAnswer:
    """Images of tiles as PNG files, which live as long as the session."""
    opened = session.index(request.index)
    stamp = hashlib.sha256(f"{opened.folder} {opened.meta}".encode()).hexdigest()[:12]
    folder = session.folder(f"thumbnails-{stamp}")
    paths = thumbnailing.thumbnails(opened, request.ids, request.size, folder)
    return ThumbnailsAnswer(tuple(map(str, paths)))
