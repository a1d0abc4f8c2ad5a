"""Points and boxes inside tiles as files: a vector file of boxes, a GeoTIFF of what speaks for the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rs_text_search_plugin.contracts.arrays import F64
from rs_text_search_plugin.contracts.messages import Match
from rs_text_search_plugin.contracts.operations.search import ExportedMatch
from rs_text_search_plugin.engine.index.store import Index
from rs_text_search_plugin.engine.search.zoom import Pointer

from .export import ExportReport, Found, export_shapes


@dataclass(frozen=True)
class Pointed:
    """A match, its index, and where in its tile the query was found."""

    index: Index
    match: Match
    pointer: Pointer

    def place(self, shares: F64) -> F64:
        """(n, 2) x and y as shares of the tile -> (n, 2) in the raster's CRS."""
        a, b, c, d, e, f = self.index.meta.transform
        window = self.match.window
        x, y = (shares * [window.width, window.height] + [window.x, window.y]).T
        return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)

    @property
    def corners(self) -> F64:
        """(4, 2) of the box in the raster's CRS, clockwise from the upper left."""
        left, top, right, bottom = self.pointer.box
        return self.place(np.array([[left, top], [right, top], [right, bottom], [left, bottom]]))


def export_boxes(path: Path, found: Sequence[Pointed], query: str, model: str) -> ExportReport:
    """Write one row per box, with the columns of a match. Raises ExportError."""
    rows = [
        ExportedMatch(one.match.index, one.match.id, one.match.rank, max(one.pointer.score, one.match.score))
        for one in found
    ]
    indexes = {one.match.index: one.index for one in found}
    shapes = [(one.match.index, one.corners) for one in found]
    return export_shapes(path, Found(rows, indexes, query, model), shapes, None)


def write_relevance(one: Pointed, folder: Path) -> Path:
    """A GeoTIFF over the tile, 0-1. Raises ExportError."""
    from rs_text_search_plugin.engine.output.rasters import write_grid  # noqa: PLC0415 - loads GDAL

    grid = one.pointer.relevance
    (x, y), (right_x, right_y), (down_x, down_y) = one.place(np.array([[0, 0], [1, 0], [0, 1]])).tolist()
    rows, cols = grid.shape
    transform = ((right_x - x) / cols, (down_x - x) / rows, x, (right_y - y) / cols, (down_y - y) / rows, y)
    path = folder / f"{one.match.id}-{len(list(folder.iterdir()))}.tif"
    return write_grid(path, grid, transform, one.index.meta.crs)
