"""Reranking, the second stage: the best matches' pixels are read again and judged together with the text.

A reranker is slower and finer than an encoder, which embeds tiles and texts apart. It only
changes the order of the best matches: scores stay what they were, because they are what is calibrated, and so
do the counts, the regions and the heat.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, U8
from rs_text_search_plugin.contracts.errors import Cancelled, RasterError
from rs_text_search_plugin.contracts.messages import Match, Query
from rs_text_search_plugin.contracts.protocols import Reranker
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.raster.reader import open_indexed

from .query.combination import combined
from .query.parse import parse
from .search import SearchResult

if TYPE_CHECKING:
    from rs_text_search_plugin.engine.index.store import Index

DEPTH = 64
"""Matches that are reranked."""
BATCH_TILES = 16
"""Tiles judged at a time; between two chunks a search can be cancelled."""
MAX_TILE_PX = 320
"""Larger tiles are read at this size; no reranker takes more."""


def rerank(
    found: SearchResult, indexes: Sequence[Index], query: Query, reranker: Reranker, job: Job
) -> SearchResult:
    """The same result with its best DEPTH matches in the order of the summed log odds of both stages.

    `query` has words in it; `indexes` are those searched, in the same order. Matches whose raster cannot be
    read keep their rank, and the verdict says so. Raises Cancelled."""
    start = time.perf_counter()
    best = found.matches[:DEPTH]
    paired, unread = _pair_log_odds(best, indexes, query, reranker, job)
    judged = np.flatnonzero(~np.isnan(paired))
    summed = (_score_log_odds(found, indexes, best) + paired)[judged]
    matches = list(found.matches)
    for position, chosen in zip(judged, judged[np.argsort(-summed, kind="stable")], strict=True):
        matches[position] = replace(best[chosen], rank=best[position].rank)
    said = [f"The best {len(judged)} are reranked."] if len(judged) else []
    return replace(
        found,
        matches=tuple(matches),
        verdict=" ".join([found.verdict, *said, *(f"Not reranked: {reason}" for reason in unread)]),
        seconds=found.seconds + time.perf_counter() - start,
        reranked=len(judged) > 0,
    )


def _pair_log_odds(
    best: Sequence[Match], indexes: Sequence[Index], query: Query, reranker: Reranker, job: Job
) -> tuple[F32, list[str]]:
    """(k,) log odds that the query fits, NaN where the raster cannot be read, and why it cannot."""
    paired = np.full(len(best), np.nan, dtype=np.float32)
    unread, done = [], 0
    for index in indexes:
        positions = [i for i, match in enumerate(best) if match.index == str(index.folder)]
        try:
            for start in range(0, len(positions), BATCH_TILES):
                if job.cancelled():
                    raise Cancelled("The search was stopped.")
                part = positions[start : start + BATCH_TILES]
                paired[part] = _judged(reranker, query, _pixels(index, [best[i] for i in part]))
                done += len(part)
                job.progress(done, len(best))
        except RasterError as error:
            paired[positions] = np.nan
            unread.append(error.message)
    return paired, unread


def _judged(reranker: Reranker, query: Query, tiles: U8) -> F32:
    """(k, side, side, 3) -> (k,) log odds that the query fits."""
    return combined(parse(query), lambda phrase: log_odds(reranker.pairs(phrase.english, tiles)))


def log_odds(probabilities: F32) -> F32:
    """(k,) in 0-1 -> (k,), from -16 to 16."""
    kept = probabilities.astype(np.float64).clip(1e-7, 1 - 1e-7)
    return np.asarray(np.log(kept / (1 - kept)), dtype=np.float32)


def _score_log_odds(found: SearchResult, indexes: Sequence[Index], best: Sequence[Match]) -> F32:
    """(k,) log odds of the calibrated scores; those in a match are rounded."""
    tiles = {str(index.folder): (index, scores) for index, scores in zip(indexes, found.scores, strict=True)}
    scores = []
    for match in best:
        index, of_tiles = tiles[match.index]
        scores.append(of_tiles[index.position(match.id)])
    return log_odds(np.array(scores, dtype=np.float32) / np.float32(100))


def _pixels(index: Index, matches: Sequence[Match]) -> U8:
    """(k, side, side, 3) RGB, stretched as when the raster was indexed. Raises RasterError."""
    meta = index.meta
    side = min(max(meta.lattice.tile_w, meta.lattice.tile_h), MAX_TILE_PX)
    with open_indexed(meta.source, meta.bands) as raster:
        return raster.read_tiles([match.window for match in matches], side, meta.stretch)
