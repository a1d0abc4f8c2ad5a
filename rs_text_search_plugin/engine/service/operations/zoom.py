"""zoom: where inside their tiles the best matches of a result lie."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from rs_text_search_plugin.contracts.errors import Cancelled, QueryError, RasterError
from rs_text_search_plugin.contracts.messages import Match
from rs_text_search_plugin.contracts.operations.zoom import PointedMatch, ZoomAnswer, ZoomRequest
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.output.pointers import Pointed, export_boxes, write_relevance
from rs_text_search_plugin.engine.raster.reader import open_raster
from rs_text_search_plugin.engine.search import zoom as zooming
from rs_text_search_plugin.engine.service.session import HeldResult, Session


def zoom(session: Session, request: ZoomRequest, job: Job) -> ZoomAnswer:
    """Points inside the tiles of a result's best matches, as far as the time allows."""
    held = session.results.find(request.result)
    if held is None:
        raise QueryError(f"The engine no longer holds the result “{request.result}”.", "Search again.")
    start, wanted = time.monotonic(), held.answer.matches[: request.top]
    unread: dict[str, str] = {}
    found = list(_pointed(session, held, wanted, start + request.seconds, unread, job))
    folder = session.folder("relevance") if request.relevance else None
    points = tuple(_answer(one, write_relevance(one, folder) if folder else None) for one in found)
    files: tuple[str, ...] = ()
    if request.path:
        files = export_boxes(Path(request.path), found, held.found.query, held.found.model).files
    done = len(points) + sum(match.index in unread for match in wanted) >= len(wanted)
    return ZoomAnswer(points, done, time.monotonic() - start, tuple(unread.values()), files)


def _pointed(
    session: Session, held: HeldResult, wanted: Sequence[Match], end: float, unread: dict[str, str], job: Job
) -> Iterator[Pointed]:
    """A pointer for each match, best first; `unread` is filled with index folder -> why it cannot be read."""
    encoder = session.encoder_of(held.indexes)
    seekers = zooming.seekers(held.indexes, encoder, held.found.asked)
    indexes = {str(index.folder): index for index in held.indexes}
    with ExitStack() as stack:
        rasters = {}
        for done, match in enumerate(wanted, start=1):
            if job.cancelled():
                raise Cancelled("Pointing was stopped.")
            if time.monotonic() > end:
                return
            if match.index in unread:
                continue
            index = indexes[match.index]
            try:
                if match.index not in rasters:
                    opened = open_raster(index.meta.source, index.meta.bands)
                    rasters[match.index] = stack.enter_context(opened)
                tile = zooming.pixels(rasters[match.index], index, match.window, encoder.size)
            except RasterError as error:
                unread[match.index] = error.message
                continue
            yield Pointed(index, match, seekers[match.index].point(tile))
            job.progress(done, len(wanted))


def _answer(one: Pointed, relevance: Path | None) -> PointedMatch:
    (x, y), *_ = one.place(np.array([[one.pointer.x, one.pointer.y]])).tolist()
    corners = tuple((float(a), float(b)) for a, b in one.corners)
    score = round(max(one.pointer.score, one.match.score), 2)
    shown = str(relevance) if relevance else None
    return PointedMatch(one.match.index, one.match.id, x, y, corners, score, shown)
