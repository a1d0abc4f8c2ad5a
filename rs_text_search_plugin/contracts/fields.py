"""Limits that a field's annotation carries: `Annotated[int, Range(1, 9)]`. Read by decode.py and protocol_page.py."""

from dataclasses import dataclass
from typing import Annotated, Any

MOST_TEXT = 32_767
"""Characters; the longest path of any system, and more than any CRS as WKT2."""
MOST_COUNT = 2**53
"""The largest whole number that every JSON reader keeps exactly."""


@dataclass(frozen=True)
class Range:
    """The least and the most that a number may be, or that a list may hold; both included."""

    least: float
    most: float


Json = dict[str, Any]
"""A JSON object."""
Count = Annotated[int, Range(0, MOST_COUNT)]
Score = Annotated[float, Range(0, 100)]
Seconds = Annotated[float, Range(0, 1e12)]
