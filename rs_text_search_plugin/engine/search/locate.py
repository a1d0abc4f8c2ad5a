"""From a point on the map to the tiles over it."""

from __future__ import annotations

import numpy as np

from rs_text_search_plugin.contracts.arrays import I64
from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.engine.index.store import Index
from rs_text_search_plugin.engine.raster.crs import CrsUnusableError, transform_points


def tiles_at(index: Index, x: float, y: float, crs: str | None = None) -> I64:
    """Positions (k,) of the tiles over a point, nearest centre first; `crs` None is the raster's own.

    Raises QueryError for a CRS that is not known.
    """
    a, b, c, d, e, f = index.meta.transform
    x, y = _to_raster(index, x, y, crs)
    if not np.isfinite([x, y]).all():
        return np.zeros(0, dtype=np.int64)
    column, row = np.linalg.solve([[a, b], [d, e]], [x - c, y - f])  # px
    left, top, width, height = np.asarray(index.windows).T  # (n,) each
    over = (left <= column) & (column < left + width) & (top <= row) & (row < top + height)
    found = np.flatnonzero(over)
    distance = np.hypot(left[found] + width[found] / 2 - column, top[found] + height[found] / 2 - row)
    return np.asarray(found[np.argsort(distance, kind="stable")], dtype=np.int64)


def _to_raster(index: Index, x: float, y: float, crs: str | None) -> tuple[float, float]:
    """A raster without CRS takes the point as it is, as QGIS does. A point off the projection becomes infinite."""
    if crs is None or index.meta.crs is None:
        return x, y
    try:
        there = transform_points(np.array([[x, y]]), crs, index.meta.crs)[0]
    except CrsUnusableError as error:
        raise QueryError(f"{error}.", "Give an authority code such as EPSG:4326, or WKT.") from error
    return float(there[0]), float(there[1])
