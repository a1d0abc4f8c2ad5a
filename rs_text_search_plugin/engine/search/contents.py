"""What is in a raster as a whole: the entries of the vocabulary that its tiles show, with places and area."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, I64
from rs_text_search_plugin.contracts.errors import Cancelled
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.contracts.scores import POSSIBLE
from rs_text_search_plugin.engine.index.store import Index

from . import vocabulary
from .describe import discernible, word_scores
from .query.embedding import vocabulary_vectors
from .regions import box_sum, cells, merge

WORDS_AT_ONCE = 16
"""Entries scored together, so that a large index needs little memory."""


@dataclass(frozen=True)
class Entry:
    """An entry of the vocabulary as found in one index."""

    name: str
    group: str
    places: int
    tiles: int
    area_m2: float | None
    score: float
    id: int


def contents(index: Index, encoder: Encoder, cancelled: Callable[[], bool]) -> list[Entry]:
    """Every entry that some tile shows possibly or surely, those in most places first.

    Raises IndexMismatch for an index of another model, Cancelled.
    """
    index.require(encoder.fingerprint)
    chosen = discernible(index, encoder, index.meta.lattice.tile_w)
    found: list[Entry] = []
    for start in range(0, len(chosen), WORDS_AT_ONCE):
        if cancelled():
            raise Cancelled("The table of contents was stopped.")
        found += _entries(index, encoder, chosen[start : start + WORDS_AT_ONCE])
    return sorted(found, key=lambda entry: (-entry.places, -entry.score))


def _entries(index: Index, encoder: Encoder, rows: I64) -> Iterator[Entry]:
    """The entries among some rows of the vocabulary that are found."""
    scores = word_scores(index, encoder, vocabulary_vectors(encoder)[rows], index.vectors)  # (n, k)
    for row, of_word in zip(rows, scores.T, strict=True):
        if len(of_word) and of_word.max() >= POSSIBLE:
            yield _entry(index, vocabulary.words()[row], np.ascontiguousarray(of_word))


def _entry(index: Index, word: vocabulary.Word, scores: F32) -> Entry:
    claimed = scores >= POSSIBLE
    regions, _ = merge(index, scores, claimed)
    best = int(scores.argmax())
    covered = int((np.rint(box_sum(cells(index, claimed))) > 0).sum())
    lattice, gsd = index.meta.lattice, index.meta.gsd_m
    area = None if gsd is None else covered * lattice.step_x * lattice.step_y * gsd**2
    score, tile = round(float(scores[best]), 1), int(index.ids[best])
    return Entry(word.name, word.group, len(regions), int(claimed.sum()), area, score, tile)
