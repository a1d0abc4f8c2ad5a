"""search, rerank, export."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.contracts.messages import Query, Tile
from rs_text_search_plugin.contracts.operations.search import (
    ExportAnswer,
    ExportRequest,
    Heat,
    RerankRequest,
    SearchAnswer,
    SearchRequest,
    Source,
)
from rs_text_search_plugin.contracts.protocols import Reranker
from rs_text_search_plugin.engine.index.store import Index
from rs_text_search_plugin.engine.output import export as exporting
from rs_text_search_plugin.engine.search import regions
from rs_text_search_plugin.engine.search import rerank as reranking
from rs_text_search_plugin.engine.search import search as searching
from rs_text_search_plugin.engine.search.query import tidy
from rs_text_search_plugin.engine.service.jobs import Job
from rs_text_search_plugin.engine.service.session import HeldResult, Session, index_of
from rs_text_search_plugin.models import registry


def search(session: Session, request: SearchRequest, job: Job) -> SearchAnswer:
    """Ranks the tiles of all indexes by how well they fit a text, marked tiles, or both."""
    opened = tuple(session.index(name) for name in request.indexes)
    reranker = _wanted_reranker(session, request)
    found = searching.search(
        list(opened),
        session.encoder_of(opened),
        Query(request.text, request.without, _marks(request.like), _marks(request.unlike)),
        searching.Limits(
            top=max(request.top, reranking.DEPTH),  # so many may yet be reranked
            min_score=request.min_score,
            area=request.area,
            area_crs=request.area_crs,
        ),
    )
    answer = _answer(found, opened, _heat(session, opened, found, request.heat))
    held = HeldResult(found, opened, answer, request.top)
    session.results.put(answer.result, held)
    return _reranked(held, reranker, job) if reranker else _shortened(answer, request.top)


def rerank(session: Session, request: RerankRequest, job: Job) -> SearchAnswer:
    """A result that is still held, its best matches in the order that both models give."""
    held = session.results.find(request.result)
    if held is None:
        raise QueryError(f"The engine no longer holds the result “{request.result}”.", "Search again.")
    if not tidy(held.found.asked.text):
        return _shortened(held.answer, held.top)  # a reranker reads words only
    return _reranked(held, session.reranker(request.model or registry.RERANKER), job)


def export(session: Session, request: ExportRequest, job: Job) -> ExportAnswer:
    """Writes matches to a vector file; its ending names the format."""
    opened = {match.index: session.index(match.index) for match in request.matches}
    found = exporting.Found(request.matches, opened, request.query, request.model)
    report = exporting.export(Path(request.path), found, request.crs)
    return ExportAnswer(path=request.path, **vars(report))


def _wanted_reranker(session: Session, request: SearchRequest) -> Reranker | None:
    """Loaded before the search, so that a missing one is told at once."""
    if not request.rerank or not tidy(request.text):
        return None
    return session.reranker(registry.RERANKER if request.rerank is True else str(request.rerank))


def _marks(tiles: Sequence[Tile]) -> tuple[tuple[str, int], ...]:
    return tuple((str(index_of(tile.index)), tile.id) for tile in tiles)


def _answer(found: searching.SearchResult, opened: Sequence[Index], heat: tuple[Heat, ...]) -> SearchAnswer:
    own = {name: value for name, value in vars(found).items() if name not in {"scores", "asked"}}
    own["verdict"] += _unfinished(opened)
    sources = tuple(map(_source, opened))
    return SearchAnswer(**own, sources=sources, heat=heat, result=secrets.token_hex(8))


def _source(index: Index) -> Source:
    meta = index.meta
    tile = meta.lattice.tile_w, meta.lattice.tile_h
    where = str(index.folder), meta.source, meta.crs, meta.gsd_m
    return Source(*where, tile_px=tile, overlap=meta.overlap, fingerprint=meta.fingerprint)


def _shortened(answer: SearchAnswer, top: int) -> SearchAnswer:
    return replace(answer, matches=answer.matches[:top])


def _reranked(held: HeldResult, reranker: Reranker, job: Job) -> SearchAnswer:
    again = reranking.rerank(held.found, held.indexes, held.found.asked, reranker, job)
    changed = {name: getattr(again, name) for name in ("matches", "seconds", "reranked")}
    verdict = again.verdict + _unfinished(held.indexes)
    return _shortened(replace(held.answer, verdict=verdict, **changed), held.top)


def _unfinished(opened: Sequence[Index]) -> str:
    """What a verdict must add when places may be missing."""
    names = [Path(item.meta.source).name for item in opened if not item.meta.complete]
    return f" Indexed only in part: {', '.join(names)}." if names else ""


def _heat(
    session: Session, opened: Sequence[Index], found: searching.SearchResult, heat: bool | str
) -> tuple[Heat, ...]:
    """One GeoTIFF an index; a file name is for one index, True for files that live as long as the session."""
    if not heat:
        return ()
    if isinstance(heat, str) and len(opened) > 1:
        raise QueryError(
            "One heat file cannot hold several rasters.", "Search one index at a time to write its heat."
        )
    stamp, written = secrets.token_hex(6), []
    for number, (item, scores) in enumerate(zip(opened, found.scores, strict=True)):
        path = Path(heat) if isinstance(heat, str) else session.folder("heat") / f"{stamp}-{number}.tif"
        written.append(Heat(str(item.folder), str(regions.write_heat(item, scores, path))))
    return tuple(written)
