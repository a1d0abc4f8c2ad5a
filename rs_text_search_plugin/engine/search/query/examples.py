"""Marked tiles in a query: more like these, less like those."""

from __future__ import annotations

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.engine.vectors import unit_length

FEEDBACK_MARKS = 5
"""From so many marked tiles on, a classifier is fitted; below, the marks only pull the query their way."""
LIKE, UNLIKE = 1.0, 0.5
"""Pull of the marked tiles against the text's own weight of 1."""


def with_examples(text: F32 | None, like: F32, unlike: F32, background: F32) -> F32:
    """Text and marked tiles -> one query vector, unit length.

    text (dim,) or None; like (p, dim) and unlike (m, dim) tiles; background (k, dim) tiles of the index.
    Few marks shift the query (Rocchio 1971). From FEEDBACK_MARKS on, with both kinds, a logistic regression
    is fitted whose prior is that shifted query, as marks alone can harm (SeeSaw, arXiv 2208.06497).
    """
    if text is None and not len(like):
        raise QueryError(
            "There is nothing to search for.", "Type a few words or mark a tile with 'More like this'."
        )
    middle = background.mean(axis=0)
    parts = [] if text is None else [(1.0, text)]
    parts += [(LIKE, unit_length(like - middle).mean(axis=0))] if len(like) else []
    parts += [(-UNLIKE, unit_length(unlike - middle).mean(axis=0))] if len(unlike) else []
    query = sum(weight * direction / spread(direction, background) for weight, direction in parts)
    query = unit_length(np.asarray(query, dtype=np.float32))
    if len(like) and len(unlike) and len(like) + len(unlike) >= FEEDBACK_MARKS:
        return fit_marks(query, unit_length(like - middle), unit_length(unlike - middle))
    return query


def spread(direction: F32, background: F32) -> float:
    """Standard deviation of the background along a direction; text and tile vectors differ widely in it."""
    return max(float((background @ direction).std()), 1e-3)


def fit_marks(prior: F32, like: F32, unlike: F32, strength: float = 1.0, steps: int = 25) -> F32:
    """Logistic regression on centred marks, (p, dim) and (m, dim), held near `prior` (dim,) -> unit vector.

    Newton's method in the space the marks span, where the solution lies: p + m unknowns.
    """
    marks = np.concatenate([like, unlike]).astype(np.float64)  # (n, dim)
    wanted = np.repeat([1.0, 0.0], [len(like), len(unlike)])
    kernel = marks @ marks.T + 1  # (n, n); the 1 is a free offset
    scale = 4.0  # along the prior a mark counts as e^4 to 1
    start = scale * (marks @ prior)
    start -= np.median(start)
    pull = np.zeros(len(marks))
    for _ in range(steps):
        shift = kernel @ pull
        chance = 1 / (1 + np.exp(-(start + shift)))
        weight = np.maximum(chance * (1 - chance), 1e-4)
        pull[:] = np.linalg.solve(kernel + np.diag(strength / weight), shift + (wanted - chance) / weight)
    return unit_length((scale * prior + marks.T @ pull).astype(np.float32))
