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
from rs_text_search_plugin.engine.index.status import share_done
from rs_text_search_plugin.engine.index.store import Index
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.output import export as exporting
from rs_text_search_plugin.engine.search import regions
from rs_text_search_plugin.engine.search import rerank as reranking
from rs_text_search_plugin.engine.search import search as searching
from rs_text_search_plugin.engine.search.query.prompts import tidy
from rs_text_search_plugin.engine.service.session import HeldResult, Session, index_of
from rs_text_search_plugin.models import registry


def search(session: Session, request: SearchRequest, job: Job) -> SearchAnswer:
    """Ranks the tiles of all indexes by how well they fit a text, marked tiles, or both."""
    opened = tuple(session.index(name) for name in request.indexes)
    reranker = _wanted_reranker(session, request)
    encoder = session.encoder_of(opened)
    marks = _marks(request.like), _marks(request.unlike)
    images = request.like_images, request.unlike_images
    query = Query(request.text, request.without, *marks, request.language, *images)
    begun = tuple(item for item in opened if len(item.ids))
    if not begun:
        return _nothing_yet(opened, query)
    found = searching.search(list(begun), encoder, query, _limits(request))
    answer = _answer(found, opened, _heat(session, begun, found, request.heat))
    held = HeldResult(found, begun, answer, request.top)
    session.results.put(answer.result, held)
    return _reranked(held, reranker, job) if reranker else _shortened(answer, request.top)


def _limits(request: SearchRequest) -> searching.Limits:
    top = max(request.top, reranking.DEPTH)  # so many may yet be reranked
    return searching.Limits(top, request.min_score, request.area, request.area_crs)


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
    share, remark = _searched(opened)
    own["verdict"] += remark
    sources = tuple(map(_source, opened))
    return SearchAnswer(**own, sources=sources, heat=heat, result=secrets.token_hex(8), searched=share)


def _nothing_yet(opened: Sequence[Index], query: Query) -> SearchAnswer:
    """The answer from indexes that have no tile yet."""
    return SearchAnswer(
        query=searching.describe_query(query),
        understood="",
        model=opened[0].meta.model,
        verdict="Nothing is indexed yet.",
        strong=0,
        possible=0,
        tiles=0,
        seconds=0.0,
        histogram=(0,) * searching.HISTOGRAM_BINS,
        matches=(),
        regions=(),
        reranked=False,
        sources=tuple(map(_source, opened)),
        heat=(),
        searched=_searched(opened)[0],
    )


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
    verdict = again.verdict + held.answer.verdict.removeprefix(held.found.verdict)
    return _shortened(replace(held.answer, verdict=verdict, **changed), held.top)


def _searched(opened: Sequence[Index]) -> tuple[float, str]:
    """Share of all planned tiles that could be searched, 0-1, and what to say when it is not all."""
    names = [Path(index.meta.source).name for index in opened if not index.meta.complete]
    planned = sum(index.meta.planned for index in opened)
    share = sum(share_done(index) * index.meta.planned for index in opened) / max(1, planned)
    if not names:
        return 1.0, ""
    return share, f" Searched {100 * share:.0f} % so far; not all of {', '.join(names)} is indexed."


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
