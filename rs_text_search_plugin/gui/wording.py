"""Numbers as people read them."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """1 tile · 4,096 tiles · 2 matches."""
    ending = "" if number == 1 else "es" if noun.endswith("ch") else "s"
    return f"{number:,} {noun}{ending}"


def duration(seconds: float) -> str:
    """A length of time, rounded to what a person cares about."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def size(amount: float) -> str:
    """Bytes in decimal units: 6 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
