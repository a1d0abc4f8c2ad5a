"""Multivariate rerank: sort the best matches again by what the opposite direction of search thinks of them.

Yuan et al., "Remote Sensing Cross-Modal Text-Image Retrieval Based on Global and Local Information" (GaLR),
IEEE TGRS 2022. It needs a matrix of similarities and nothing else, so it works behind every model. For a
query q and its K best candidates t_j, j = 1 ... K, the new score is the sum of

    wp1 * s(q, t_j) / sum over all queries n of s(n, t_j)     how much of what t_j gives goes to q
    exp(-xi * j)                                              where q ranks t_j
    wp2 * exp(-xi * r)                                        where t_j ranks q; r = 1 ... K is t_j's place
                                                              among the K by that

Theirs: the formula and the values of K, wp1, wp2 and xi, which are those of the released main(). Ours, where
the release leaves things open or cannot be used as it is:
- candidates behind the K-th keep their order, behind the first K (the release gives all of them 0);
- a negative similarity counts as 0 in the share, for with a sum near or below 0 it would mean nothing;
- two candidates that tie for t_j's view of q stay in the first ranking's order (the release leaves that to an
  unstable sort), and candidates that tie in both, as one caption written twice does, tie in the result;
- all queries at once: the release loops over every query, candidate and ranking."""

from __future__ import annotations

from typing import Any

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, I64


def multivariate_rerank(
    similarity: F32, k: int = 30, wp1: float = 0.30, wp2: float = 1.1, xi: float = 0.05
) -> F32:
    """Similarities of n queries to m candidates (n, m) -> new scores (n, m), the higher the better.

    Above 0 for each query's K best candidates, below 0 for the others. The other direction is
    `multivariate_rerank(similarity.T).T`."""
    seen_from_query = _ranks(-similarity, axis=1)  # (n, m)
    seen_from_candidate = _ranks(-similarity, axis=0)  # (n, m)
    best = np.argsort(-similarity, axis=1, kind="stable")[:, :k]  # (n, K)
    place = np.take_along_axis(seen_from_query, best, 1)  # (n, K)
    reverse = np.take_along_axis(seen_from_candidate, best, 1) * similarity.shape[1] + place  # (n, K)
    share = np.take_along_axis(_shares(similarity), best, 1)  # (n, K)
    score = wp1 * share + np.exp(-xi * (place + 1)) + wp2 * np.exp(-xi * (_ranks(reverse, axis=1) + 1))
    found = -1 - seen_from_query.astype(np.float32)
    np.put_along_axis(found, best, score.astype(np.float32), 1)
    return found


def _shares(similarity: F32) -> F32:
    """Each column (n,) over its sum."""
    positive = np.maximum(similarity, 0)
    return positive / np.maximum(positive.sum(0), np.finfo(np.float32).tiny)  # type: ignore[no-any-return]


def _ranks(values: np.ndarray[Any, Any], axis: int) -> I64:
    """How many values along `axis` are smaller: 0 for the smallest, the same for equal ones."""
    order = np.argsort(values, axis, kind="stable")
    ordered = np.take_along_axis(values, order, axis)
    steps = np.diff(ordered, axis=axis, prepend=ordered.take([0], axis)) > 0
    number = np.expand_dims(np.arange(values.shape[axis]), 1 - axis)
    ranks = np.empty(values.shape, np.int64)
    np.put_along_axis(ranks, order, np.maximum.accumulate(np.where(steps, number, 0), axis), axis)
    return ranks
