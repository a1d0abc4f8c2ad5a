"""Precision of a result at a threshold, estimated from the verdicts on some of its matches."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import sqrt

from rs_text_search_plugin.contracts.scores import POSSIBLE, STRONG

Z = 1.96
"""Of the normal distribution, for an interval of 95 %."""
BAND_LOWS = (0, POSSIBLE, 65, STRONG, 90)
"""Lowest score of each band, as in the legend of the map."""


@dataclass(frozen=True)
class Interval:
    """A share with its 95 % interval, all 0-1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """Precision of the matches from a threshold on; `precision` is None while a band has no verdict."""

    precision: Interval | None
    judged: int
    matches: int


def band(score: float) -> int:
    """Number of the band that a score of 0-100 falls into, the lowest first."""
    return bisect_right(BAND_LOWS, score) - 1


def wilson(kept: float, judged: float) -> Interval:
    """Share of `kept` among `judged` (> 0) with the interval of Wilson, JASA 22 (1927)."""
    share = kept / judged
    centre = (share + Z**2 / (2 * judged)) / (1 + Z**2 / judged)
    half = Z / (1 + Z**2 / judged) * sqrt(share * (1 - share) / judged + Z**2 / (4 * judged**2))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def estimate(scores: list[float], verdicts: list[tuple[float, bool]], threshold: float) -> Estimate:
    """Precision among `scores` from `threshold` on; a verdict is the score of a match and whether it was kept.

    Stratified: each band counts by how many matches it has, however many of them were judged.
    """
    judged = [(band(score), kept) for score, kept in verdicts if score >= threshold]
    inside = [band(score) for score in scores if score >= threshold]
    strata = [(inside.count(b), [kept for where, kept in judged if where == b]) for b in sorted(set(inside))]
    precision = _stratified(strata) if strata and all(kept for _, kept in strata) else None
    return Estimate(precision, len(judged), len(inside))


def _stratified(strata: list[tuple[int, list[bool]]]) -> Interval:
    """Wilson's interval at the number of simple random verdicts that would be as telling (effective size)."""
    total = sum(size for size, _ in strata)
    weights = [size / total for size, _ in strata]
    shares = [sum(kept) / len(kept) for _, kept in strata]
    value = sum(weight * share for weight, share in zip(weights, shares))
    smooth = [(sum(kept) + 1) / (len(kept) + 2) for _, kept in strata]  # a share of 0 or 1 is not certain
    variance = sum(w**2 * p * (1 - p) / len(kept) for w, p, (_, kept) in zip(weights, smooth, strata))
    expected = sum(weight * share for weight, share in zip(weights, smooth))
    size = expected * (1 - expected) / variance
    return wilson(value * size, size)
