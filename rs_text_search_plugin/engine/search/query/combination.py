"""Scores of a query's phrases -> scores of the query. All are calibrated logits, one a tile."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32

from .parse import Groups, ParsedQuery, Phrase

Scores = Callable[[Phrase], F32]
"""A phrase -> (n,) logits."""
LEAST = 1e-7
"""Smallest probability that is told from none."""


def combined(parsed: ParsedQuery, scores: Scores, wanted: F32 | None = None) -> F32:
    """(n,) logits of a whole query. `wanted` takes the place of its wanted phrases, where tiles are marked.

    A AND B is the smaller of both scores, A or B the larger; A rather than B their difference; A without B the
    chance of the one and not the other.
    """
    found = any_of(parsed.wanted, scores) if wanted is None else wanted
    if parsed.against:
        found = rather_than(found, any_of(parsed.against, scores))
    return without(found, any_of(parsed.unwanted, scores)) if parsed.unwanted else found


def any_of(groups: Groups, scores: Scores) -> F32:
    """The best of several groups, each as good as its worst phrase."""
    return reduce(np.maximum, (reduce(np.minimum, map(scores, group)) for group in groups))


def without(wanted: F32, unwanted: F32) -> F32:
    """(n,) and (n,) logits -> logits of "the one and not the other", taken as independent."""
    return np.asarray(wanted - np.logaddexp(np.logaddexp(0, unwanted), wanted + unwanted), dtype=np.float32)


def rather_than(wanted: F32, other: F32) -> F32:
    """(n,) and (n,) logits -> logits of how much more probable the one is; the least where it is not."""
    first, second = (1 / (1 + np.exp(-logits.astype(np.float64).clip(-30, 30))) for logits in (wanted, other))
    more = (first - second).clip(LEAST, 1 - LEAST)
    return np.asarray(np.log(more / (1 - more)), dtype=np.float32)
