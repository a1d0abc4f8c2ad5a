"""In which order matches are reviewed."""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from itertools import chain, zip_longest
from typing import Any

from rs_text_search_plugin.contracts.scores import POSSIBLE

from .precision import band

Match = dict[str, Any]


class Order(Enum):
    """What comes first."""

    BEST = "best"
    SAMPLE = "sample"
    UNSURE = "unsure"


def ordered(matches: list[Match], order: Order, threshold: float) -> list[Match]:
    """Matches from `threshold` on by rank or as a sample of all score bands; or all, the least sure first."""
    if order == Order.UNSURE:
        return sorted(matches, key=lambda match: abs(match["score"] - POSSIBLE))
    claimed = sorted((m for m in matches if m["score"] >= threshold), key=lambda match: match["rank"])
    return claimed if order == Order.BEST else sample(claimed)


def sample(matches: list[Match]) -> list[Match]:
    """One match of each band in turn, within a band in a random order that is the same every time."""
    bands: dict[int, list[Match]] = {}
    for match in sorted(matches, key=_shuffled):
        bands.setdefault(band(match["score"]), []).append(match)
    turns = zip_longest(*(bands[number] for number in sorted(bands, reverse=True)))
    return [match for match in chain.from_iterable(turns) if match is not None]


def _shuffled(match: Match) -> bytes:
    return sha256(f"{match['index']} {match['id']}".encode()).digest()
