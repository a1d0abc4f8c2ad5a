"""zoom: where inside their tiles the best matches of a result lie."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from rs_text_search_plugin.contracts.arrays import U8
from rs_text_search_plugin.contracts.errors import Cancelled, QueryError, RasterError
from rs_text_search_plugin.contracts.messages import Match
from rs_text_search_plugin.contracts.operations.zoom import PointedMatch, ZoomAnswer, ZoomRequest
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.output.pointers import Pointed, export_boxes, write_relevance
from rs_text_search_plugin.engine.raster.reader import Raster, open_indexed
from rs_text_search_plugin.engine.search import zoom as zooming
from rs_text_search_plugin.engine.service.session import HeldResult, Session


def zoom(session: Session, request: ZoomRequest, job: Job) -> ZoomAnswer:
    """Points inside the tiles of a result's best matches, as far as the time allows."""
    held = session.results.find(request.result)
    if held is None:
        raise QueryError(f"The engine no longer holds the result “{request.result}”.", "Search again.")
    start, wanted = time.monotonic(), held.answer.matches[: request.top]
    pointing = _Pointing(held, session.encoder_of(held.indexes))
    found = list(pointing.points(wanted, start + request.seconds, job))
    folder = session.folder("relevance") if request.relevance else None
    points = tuple(_answer(one, write_relevance(one, folder) if folder else None) for one in found)
    files: tuple[str, ...] = ()
    if request.path:
        files = export_boxes(Path(request.path), found, held.found.query, held.found.model).files
    done = len(points) + sum(match.index in pointing.unread for match in wanted) >= len(wanted)
    return ZoomAnswer(points, done, time.monotonic() - start, tuple(pointing.unread.values()), files)


class _Pointing:
    """Points at the thing in one match after another; a raster is opened once."""

    def __init__(self, held: HeldResult, encoder: Encoder) -> None:
        self.side = encoder.size
        self.calibrated_queries = zooming.calibrated_queries(held.indexes, encoder, held.found.asked)
        self.indexes = {str(index.folder): index for index in held.indexes}
        self.rasters: dict[str, Raster] = {}
        self.unread: dict[str, str] = {}
        """Index folder -> why its raster cannot be read."""

    def points(self, wanted: Sequence[Match], end: float, job: Job) -> Iterator[Pointed]:
        """A pointer for each match, best first, until the clock says `end`. Raises: Cancelled."""
        with ExitStack() as stack:
            for done, match in enumerate(wanted, start=1):
                if job.cancelled():
                    raise Cancelled("Pointing was stopped.")
                if time.monotonic() > end:
                    return
                pixels = None if match.index in self.unread else self._pixels(stack, match)
                if pixels is not None:
                    pointer = self.calibrated_queries[match.index].point(pixels)
                    yield Pointed(self.indexes[match.index], match, pointer)
                    job.progress(done, len(wanted))

    def _pixels(self, stack: ExitStack, match: Match) -> U8 | None:
        """(side, side, 3) RGB of a match's tile; None, and noted, when its raster cannot be read."""
        index = self.indexes[match.index]
        try:
            if match.index not in self.rasters:
                opened = open_indexed(index.meta.source, index.meta.bands)
                self.rasters[match.index] = stack.enter_context(opened)
            return zooming.pixels(self.rasters[match.index], index, match.window, self.side)
        except RasterError as error:
            self.unread[match.index] = error.message
            return None


def _answer(one: Pointed, relevance: Path | None) -> PointedMatch:
    (x, y), *_ = one.place(np.array([[one.pointer.x, one.pointer.y]])).tolist()
    corners = tuple((float(a), float(b)) for a, b in one.corners)
    score = round(max(one.pointer.score, one.match.score), 2)
    shown = str(relevance) if relevance else None
    return PointedMatch(one.match.index, one.match.id, x, y, corners, score, shown)
