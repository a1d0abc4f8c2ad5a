"""Counts, times and sizes as the interface shows them."""

from __future__ import annotations

from rs_text_search_plugin.translation import tr, tr_count


def tiles(number: int) -> str:
    """1 tile · 4,096 tiles."""
    return tr_count("%n tile", "%n tiles", number)


def rasters(number: int) -> str:
    """1 raster · 2 rasters."""
    return tr_count("%n raster", "%n rasters", number)


def matches(number: int) -> str:
    """1 match · 2 matches."""
    return tr_count("%n match", "%n matches", number)


def duration(seconds: float) -> str:
    """A length of time, rounded to two digits at most."""
    if seconds < 90:
        return tr("{} s").format(max(1, round(seconds)))
    if seconds < 90 * 60:
        return tr("{} min").format(round(seconds / 60))
    return tr("{} h").format(f"{seconds / 3600:.1f}")


def size(amount: float) -> str:
    """Bytes in decimal units: 6.0 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
