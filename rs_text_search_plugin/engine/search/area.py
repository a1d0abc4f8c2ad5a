"""An area to search in, brought to each raster's CRS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rs_text_search_plugin.contracts.arrays import F64, Bool
from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.engine.raster import crs as projections

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from rs_text_search_plugin.engine.index.store import Index

EDGE_PARTS = 100
"""An edge is cut into parts of 1/100 of the area's size before it is reprojected, as it may bend."""
HALF_TURN = 180.0
"""Degrees: what seems to span more has crossed the date line."""


@dataclass(frozen=True)
class Area:
    """A GeoJSON geometry; `crs` None means each raster's own."""

    geometry: dict[str, Any]
    crs: str | None = None

    def tiles_inside(self, index: Index) -> Bool:
        """(n,) whether each tile's footprint meets the area."""
        return self.intersects(index.corners(np.arange(len(index.ids))), index.meta.crs)

    def intersects(self, corners: F64, crs: str | None) -> Bool:
        """(n, 4, 2) footprints in `crs` -> (n,) whether each meets the area."""
        import shapely  # noqa: PLC0415 - only needed when an area is given

        low, high = corners.min(axis=1), corners.max(axis=1)
        area = self.in_crs(crs, shapely.box(*low.min(axis=0), *high.max(axis=0)))
        if area.is_empty:
            return np.zeros(len(corners), dtype=bool)
        x0, y0, x1, y1 = area.bounds
        near: Bool = (low[:, 0] <= x1) & (high[:, 0] >= x0) & (low[:, 1] <= y1) & (high[:, 1] >= y0)
        shapely.prepare(area)
        near[near] = shapely.intersects(area, shapely.polygons(corners[near]))
        return near

    def in_crs(self, crs: str | None, extent: BaseGeometry) -> BaseGeometry:
        """The area in a raster's CRS as far as it reaches over `extent`, a box in that CRS; raises QueryError."""
        import shapely  # noqa: PLC0415

        try:
            area = shapely.make_valid(shapely.geometry.shape(self.geometry))
        except (AttributeError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
            raise QueryError(
                f"The area is no GeoJSON geometry: {error}", "Give a Polygon or MultiPolygon."
            ) from error
        if area.is_empty:
            raise QueryError("The area is empty.", "Draw or choose a polygon.")
        if self.crs is None or crs is None:
            return area
        near = area & _surroundings(extent, crs, self.crs)
        return near if near.is_empty else _reproject(near, self.crs, crs)


def _surroundings(extent: BaseGeometry, source: str, target: str) -> BaseGeometry:
    """What lies around `extent` in another CRS: a country, or the world, cannot be brought whole to a CRS that
    is valid around the raster only. Across the date line it is a box on either side.
    """
    import shapely  # noqa: PLC0415

    moved = _reproject(extent, source, target)
    x0, y0, x1, y1 = moved.bounds
    if x1 - x0 <= HALF_TURN or x1 > HALF_TURN:  # or metres
        return shapely.box(x0, y0, x1, y1).buffer(max(x1 - x0, y1 - y0) / 2, join_style="mitre")
    x = shapely.get_coordinates(moved)[:, 0]
    halves = [
        shapely.box(x[x > 0].min() - 1, y0 - 1, 180, y1 + 1),
        shapely.box(-180, y0 - 1, x[x <= 0].max() + 1, y1 + 1),
    ]
    return shapely.union_all(halves)


def _reproject(area: BaseGeometry, source: str, target: str) -> BaseGeometry:
    import shapely  # noqa: PLC0415

    x0, y0, x1, y1 = area.bounds
    step = max(x1 - x0, y1 - y0, 1e-9) / EDGE_PARTS
    try:
        return shapely.make_valid(projections.reproject(area, source, target, step))
    except projections.CrsUnusableError as error:
        hint = "Draw it nearer to the raster, in a CRS such as EPSG:4326."
        raise QueryError(f"The area cannot be used: {error}.", hint) from error
