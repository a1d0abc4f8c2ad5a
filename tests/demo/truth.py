"""What is right in the demo scene, read from its GeoPackage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import shapely
from pyogrio.raw import read
from shapely.geometry.base import BaseGeometry

ENOUGH = 0.2
"""Share of a tile that must lie where its phrase is right. A bridge fills no more of one."""


def truth(path: Path) -> dict[str, BaseGeometry]:
    """Phrase -> where it is right, in the scene's CRS."""
    _, _, shapes, (phrases,) = read(path, columns=["phrase"])
    return dict(zip(phrases, shapely.from_wkb(shapes), strict=True))


def is_right(match: dict[str, Any], where: BaseGeometry) -> bool:
    """Whether a match, as `rs-text-search search --json` prints it, shows what was asked."""
    tile = shapely.Polygon(match["corners"])
    return bool(tile.intersection(where).area >= ENOUGH * tile.area)


def hits(matches: Sequence[dict[str, Any]], where: BaseGeometry, top: int = 5) -> int:
    """How many of the best `top` are right."""
    return sum(is_right(match, where) for match in matches[:top])
