"""info, verify, plan, index."""

from __future__ import annotations

import time
from pathlib import Path

from rs_text_search_plugin.contracts.decode import decode
from rs_text_search_plugin.contracts.encode import encode
from rs_text_search_plugin.contracts.errors import Cancelled, SearchError
from rs_text_search_plugin.contracts.operations.indexing import (
    IndexAnswer,
    IndexRequest,
    IndexState,
    InfoAnswer,
    InfoRequest,
    PlanAnswer,
    PlanRequest,
    VerifyAnswer,
    VerifyRequest,
)
from rs_text_search_plugin.engine.index import planner, status
from rs_text_search_plugin.engine.index import verify as verification
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.raster.reader import Raster, open_raster
from rs_text_search_plugin.engine.service.reporting import explain
from rs_text_search_plugin.engine.service.session import Session, index_of
from rs_text_search_plugin.models import devices


def info(session: Session, request: InfoRequest, job: Job) -> InfoAnswer:
    """State of the index of every raster, then of every index folder."""
    return InfoAnswer(tuple(_state(name, request.model) for name in (*request.sources, *request.indexes)))


def _state(name: str, model: str | None) -> IndexState:
    """How it stands with one index; what is wrong with it stays with it."""
    try:
        return decode(IndexState, encode(status.state(name, model=model)), "info")
    except (SearchError, OSError) as error:
        return IndexState(source=name, index=None, state="damaged", detail=explain(error).message)


def verify(session: Session, request: VerifyRequest, job: Job) -> VerifyAnswer:
    """Whether every file of an index is as it was written."""

    def watch(done: int, total: int) -> None:
        if job.cancelled():
            raise Cancelled("Verifying was stopped.")
        job.progress(done, total)

    return verification.verify(index_of(request.index), watch)


def plan(session: Session, request: PlanRequest, job: Job) -> PlanAnswer:
    """What indexing would make and cost: tiles, seconds on this machine, bytes on disk."""
    options = _options(request)
    with _opened(request) as raster:  # before a model is loaded, as it may not be there
        encoder = session.encoder(request.model, request.device)
        planned = planner.plan_raster(raster, options, encoder)
    seconds = planned.tiles / session.tiles_per_s(encoder)
    return PlanAnswer(**{**vars(planned), "index": str(planned.index)}, seconds=seconds)


def index(session: Session, request: IndexRequest, job: Job) -> IndexAnswer:
    """Embeds every tile of a raster into its index folder; what is there already is kept."""
    start = time.monotonic()
    options = _options(request)
    with _opened(request) as raster:
        encoder = session.encoder(request.model, request.device)
        report = planner.index_raster(raster, encoder, options, job.progress, job.cancelled)
    if report.tiles > report.resumed:
        session.speeds[encoder.fingerprint] = report.tiles_per_s
    made = {**vars(report), "index": str(report.index)}
    device = devices.choose_device(request.device).label
    return IndexAnswer(**made, seconds=time.monotonic() - start, device=device)


def _opened(request: PlanRequest) -> Raster:
    """The raster to index. Raises: RasterError."""
    return open_raster(request.source, request.bands or None, allow_network=request.allow_network)


def _options(request: PlanRequest) -> planner.IndexOptions:
    return planner.IndexOptions(
        tile_px=request.tile_px,
        tile_m=request.tile_m,
        overlap=request.overlap,
        levels=request.levels,
        bands=request.bands or None,
        area=request.area,
        area_crs=request.area_crs,
        out=Path(request.out) if request.out else None,
        mode=request.mode,
    )
