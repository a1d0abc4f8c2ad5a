"""A query over one or many indexes: exact scores of all tiles, calibrated, ranked, merged into regions."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.contracts.arrays import F32, I32, I64, Bool
from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.contracts.messages import Match, Query, Window
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.contracts.scores import POSSIBLE, STRONG
from rs_text_search_plugin.engine.vectors import unit_length

from .area import Area
from .calibration import Line, background, calibration, gain, lines, percent
from .language.dictionary import ENGLISH
from .query.combination import combined
from .query.embedding import embed, vocabulary_vectors
from .query.examples import with_examples
from .query.images import image_vectors
from .query.parse import ParsedQuery, Phrase, parse
from .query.prompts import tidy
from .regions import Region, merge
from .scoring import all_scores

if TYPE_CHECKING:
    from rs_text_search_plugin.engine.index.store import Index

HISTOGRAM_BINS = 20
SAME_TILE_SHARE = 0.5
"""Of two tiles that share so much of their area only the better one is listed; regions keep both."""


@dataclass(frozen=True)
class Limits:
    """What of the ranked tiles is returned: the best `top` from `min_score` (0-100) on, within an area.

    `area` is a GeoJSON geometry in `area_crs`, by default each raster's own; tiles that meet it are searched.
    """

    top: int = 200
    min_score: float = 0.0
    area: dict[str, Any] | None = None
    area_crs: str | None = None


@dataclass(frozen=True)
class SearchResult:
    """What a search found, as in docs/protocol.md. `scores` holds those of all tiles, index by index."""

    query: str
    understood: str
    """How the query was understood: repaired, or in English; empty when as it was typed."""
    model: str
    verdict: str
    strong: int
    possible: int
    tiles: int
    seconds: float
    histogram: tuple[int, ...]
    matches: tuple[Match, ...]
    regions: tuple[Region, ...]
    scores: tuple[F32, ...]
    asked: Query
    """The query as it was searched for, in English."""
    language: str = ENGLISH
    """Of the query as it was typed, ISO 639-1."""
    reranked: bool = False
    """Whether the best matches are in another order than that of their scores; see rerank.py."""


@dataclass(frozen=True)
class _Scored:
    """One index with its tiles' logits and scores, and which of them may be returned."""

    index: Index
    logits: F32
    scores: F32
    inside: Bool


def search(
    indexes: list[Index], encoder: Encoder, query: Query, limits: Limits | None = None
) -> SearchResult:
    """Rank the tiles of `indexes` by how well they fit `query`; without `limits` the best 200 of all.

    Raises QueryError when there is nothing to search for or in, IndexMismatch for an index of another model.
    """
    start = time.perf_counter()
    if not indexes:
        raise QueryError("There is nothing to search in.", "Index a raster first.")
    for index in indexes:
        index.require(encoder.fingerprint)
    limits = limits or Limits()
    within = None if limits.area is None else Area(limits.area, limits.area_crs)
    parsed = parse(query)
    meant = parsed.in_english(query)
    found = _result(_score_all(indexes, encoder, parsed, query, within), limits, meant)
    understood, said = _explained(parsed, describe_query(query), found.query)
    return replace(
        found,
        query=describe_query(query),
        understood=understood,
        language=parsed.language,
        verdict=said + found.verdict,
        model=encoder.name,
        seconds=time.perf_counter() - start,
    )


def _explained(parsed: ParsedQuery, typed: str, meant: str) -> tuple[str, str]:
    """How a query was understood, empty when as it was typed, and the sentence that tells it before the verdict."""
    explanation = parsed.explanation()
    if explanation:
        return explanation, f"{explanation}. "
    return (meant, f"Understood as “{meant}”. ") if meant != typed else ("", "")


def _result(scored: list[_Scored], limits: Limits, asked: Query) -> SearchResult:
    """All that follows from the scores."""
    regions, tables = _regions(scored, limits.min_score)
    counted = np.concatenate([item.scores[item.inside] for item in scored])
    strong = int((counted >= STRONG).sum())
    possible = int((counted >= POSSIBLE).sum()) - strong
    return SearchResult(
        query=describe_query(asked),
        understood="",
        model="",
        verdict=verdict(strong, possible, len(regions), len(counted)),
        strong=strong,
        possible=possible,
        tiles=len(counted),
        seconds=0.0,
        histogram=histogram(counted),
        matches=tuple(_ranked(scored, tables, limits.top, limits.min_score)),
        regions=tuple(regions),
        scores=tuple(item.scores for item in scored),
        asked=asked,
    )


def verdict(strong: int, possible: int, regions: int, tiles: int) -> str:
    """One sentence about what was found."""
    if not tiles:
        return "No indexed tile lies in this area."
    if not strong + possible:
        return f"Nothing stands out among {tiles:,} tiles."
    found = [f"{count:,} {word}" for count, word in ((strong, "strong"), (possible, "possible")) if count]
    noun = "match" if strong + possible == 1 else "matches"
    where = f" in {regions:,} places" if regions > 1 else " in one place"
    return f"{' and '.join(found)} {noun}{where} among {tiles:,} tiles."


def histogram(scores: F32) -> tuple[int, ...]:
    """How many of (n,) scores lie in each of the equal bins from 0 to 100."""
    bins = np.minimum((scores * (HISTOGRAM_BINS / 100)).astype(np.intp), HISTOGRAM_BINS - 1)
    return tuple(int(count) for count in np.bincount(bins, minlength=HISTOGRAM_BINS))


def describe_query(query: Query) -> str:
    """A query in one line, as exports and layers carry it."""
    like, unlike = (*query.like, *query.like_images), (*query.unlike, *query.unlike_images)
    marks = [f"{len(ids)} {word}" for ids, word in ((like, "like"), (unlike, "unlike")) if ids]
    text = tidy(query.text)
    text += f" without {tidy(query.without)}" if query.without.strip() else ""
    return (text + (f" [{', '.join(marks)}]" if marks else "")).lstrip()


def _score_all(
    indexes: list[Index], encoder: Encoder, parsed: ParsedQuery, query: Query, within: Area | None
) -> list[_Scored]:
    """Every index with its calibrated scores: those of the query's phrases, combined."""
    backgrounds = [background(index.vectors) for index in indexes]
    vectors = embed(encoder, parsed.phrases())
    marked = _marked_query(parsed, vectors, _examples(indexes, encoder, query), backgrounds)
    model, scored = calibration(encoder), []
    for index, tiles in zip(indexes, backgrounds, strict=True):
        gained = gain(model, tiles, vocabulary_vectors(encoder)) if model.clarity else 1.0

        def of_phrase(
            phrase: Phrase, index: Index = index, tiles: F32 = tiles, gained: float = gained
        ) -> F32:
            vector = vectors[phrase]
            return _logits(index, vector, lines(model, vector[None], tiles, gained)[0])

        wanted = (
            None if marked is None else _logits(index, marked, lines(model, marked[None], tiles, None)[0])
        )
        logits = combined(parsed, of_phrase, wanted)
        scored.append(_Scored(index, logits, percent(logits), _inside(index, within)))
    return scored


def wanted_vector(indexes: list[Index], encoder: Encoder, query: Query, backgrounds: list[F32]) -> F32:
    """(dim,) what is wanted, as one vector: marked tiles and the wanted phrases, averaged."""
    parsed = parse(query)
    vectors = embed(encoder, parsed.phrases())
    marked = _marked_query(parsed, vectors, _examples(indexes, encoder, query), backgrounds)
    return _mean_of_words(parsed, vectors) if marked is None else marked


def _marked_query(
    parsed: ParsedQuery, vectors: dict[Phrase, F32], examples: tuple[F32, F32], backgrounds: list[F32]
) -> F32 | None:
    """(dim,) what examples and the wanted phrases, averaged, ask for together; None where words stand alone."""
    like, unlike = examples
    if parsed.wanted and not len(like) and not len(unlike):
        return None
    text = _mean_of_words(parsed, vectors) if parsed.wanted else None
    return with_examples(text, like, unlike, np.concatenate(backgrounds))


def _examples(indexes: list[Index], encoder: Encoder, query: Query) -> tuple[F32, F32]:
    """(p, dim) and (m, dim): marked tiles and images to resemble, and not to resemble."""
    like, unlike = (
        np.concatenate([_marked(indexes, marks), image_vectors(encoder, images)])
        for marks, images in ((query.like, query.like_images), (query.unlike, query.unlike_images))
    )
    return like, unlike


def _mean_of_words(parsed: ParsedQuery, vectors: dict[Phrase, F32]) -> F32:
    return unit_length(np.mean([vectors[phrase] for group in parsed.wanted for phrase in group], axis=0))


def _inside(index: Index, within: Area | None) -> Bool:
    return np.ones(len(index.ids), dtype=bool) if within is None else within.tiles_inside(index)


def _logits(index: Index, vector: F32, line: Line) -> F32:
    """(n,) calibrated logits of a query vector (dim,); exact from the second bin of the histogram on."""
    return line.logits(all_scores(index, vector, line.raw(100 / HISTOGRAM_BINS)))


def _marked(indexes: list[Index], marks: tuple[tuple[str, int], ...]) -> F32:
    """Vectors (k, dim) of the marked tiles."""
    known = {_key(index.folder): index for index in indexes}
    rows = []
    for folder, tile in marks:
        index = known.get(_key(folder))
        if index is None:
            raise QueryError(
                f"A marked tile belongs to {folder}, which is not searched.", "Search that index too."
            )
        rows.append(np.asarray(index.vectors[index.position(tile)], dtype=np.float32))
    return np.stack(rows) if rows else np.zeros((0, indexes[0].meta.dim), dtype=np.float32)


def _key(folder: str | Path) -> str:
    return str(Path(folder).resolve())


def _regions(scored: list[_Scored], min_score: float) -> tuple[list[Region], list[tuple[I32, I32]]]:
    """Regions of all indexes numbered together, best first; and of each index two tables, tile row -> number
    within the index -> number in the result.
    """
    merged = [merge(item.index, item.scores, item.inside & (item.scores >= POSSIBLE)) for item in scored]
    every = [(-region.score, i, region) for i, (found, _) in enumerate(merged) for region in found]
    every.sort(key=lambda entry: entry[:2])
    numbers = [np.zeros(len(found) + 1, dtype=np.int32) for found, _ in merged]
    regions: list[Region] = []
    for _, i, region in every:
        if region.score >= min_score:
            regions.append(replace(region, region=len(regions) + 1))
            numbers[i][region.region] = len(regions)
    return regions, [(labels, table) for (_, labels), table in zip(merged, numbers, strict=True)]


def _ranked(scored: list[_Scored], tables: list[tuple[I32, I32]], top: int, min_score: float) -> list[Match]:
    """The best `top` tiles of all indexes; equal ones in the order of indexes and ids."""
    found: list[tuple[float, int, Match]] = []
    for number, (item, (labels, table)) in enumerate(zip(scored, tables, strict=True)):
        rows = _best(item, top, min_score)
        matches = _matches(item, rows, table[labels[rows]])
        found += [(-float(item.logits[row]), number, match) for row, match in zip(rows, matches, strict=True)]
    found.sort(key=lambda entry: entry[:2])
    return [replace(match, rank=rank) for rank, (_, _, match) in enumerate(found[:top], start=1)]


def _best(item: _Scored, top: int, min_score: float) -> I64:
    """Rows of the best tiles of one index, best first; none shares SAME_TILE_SHARE of its area with a better one."""
    rows = np.flatnonzero(item.inside & (item.scores >= min_score))
    near = _near(item.index)
    pool = top * near
    if pool < len(rows):
        rows = rows[np.argpartition(item.logits[rows], len(rows) - pool)[-pool:]]
    rows = rows[np.lexsort((rows, -item.logits[rows]))]
    return _thinned(item.index, rows, top) if near > 1 else rows[:top]


def _thinned(index: Index, rows: I64, top: int) -> I64:
    """Greedy: walk down the ranking, keep a tile unless a kept one shares SAME_TILE_SHARE of its area."""
    windows = np.asarray(index.windows[rows], dtype=np.int64)
    free = np.ones(len(rows), dtype=bool)
    kept: list[int] = []
    while len(kept) < top and free.any():
        best = int(free.argmax())
        kept.append(best)
        free[best:] &= _shares(windows[best], windows[best:]) < SAME_TILE_SHARE
    return rows[kept]


def _shares(window: I64, others: I64) -> npt.NDArray[np.float64]:
    """(4,) x, y, w, h and (k, 4) -> (k,) shared area over the smaller tile's."""
    start = np.maximum(window[:2], others[:, :2])
    end = np.minimum(window[:2] + window[2:], others[:, :2] + others[:, 2:])
    shared = (end - start).clip(0).prod(axis=1)
    return np.asarray(shared / np.minimum(window[2:].prod(), others[:, 2:].prod(axis=1)))


def _near(index: Index) -> int:
    """How many tiles, itself among them, a tile can share SAME_TILE_SHARE of its or their area with."""
    lattice, free = index.meta.lattice, 1 - SAME_TILE_SHARE
    down, across = int(lattice.tile_h * free // lattice.step_y), int(lattice.tile_w * free // lattice.step_x)
    below: int = sum(4**level for level in range(index.meta.levels))
    return (2 * down + 1) * (2 * across + 1) * below


def _matches(item: _Scored, rows: I64, regions: I32) -> list[Match]:
    """Matches of one index, (k,) rows; their rank is not known yet."""
    index, matches = item.index, []
    corners, windows = index.corners(rows).tolist(), np.asarray(index.windows[rows]).tolist()
    ids = np.asarray(index.ids[rows])
    places = zip(*index.meta.tiling.rows_and_columns(ids), index.meta.tiling.of(ids), strict=True)
    for i, (tile, (row, col, level)) in enumerate(zip(ids.tolist(), places, strict=True)):
        score, ring = round(float(item.scores[rows[i]]), 2), tuple((x, y) for x, y in corners[i])
        region, window = int(regions[i]), Window(*windows[i])
        place = (int(row), int(col), score, 0, region, window, ring, int(level))
        matches.append(Match(str(index.folder), tile, *place))
    return matches
