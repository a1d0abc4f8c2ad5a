"""An area to search in, brought to each raster's CRS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import crs as projections
from .errors import QueryError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from .store import Index

EDGE_PARTS = 100
"""An edge is cut into parts of 1/100 of the area's size before it is reprojected, as it may bend."""


@dataclass(frozen=True)
class Zone:
    """A GeoJSON geometry; `crs` None means each raster's own."""

    geometry: dict[str, Any]
    crs: str | None = None

    def covers(self, index: Index) -> npt.NDArray[np.bool_]:
        """(n,) whether each tile's footprint meets the area."""
        return self.meets(index.corners(np.arange(len(index.ids))), index.meta.crs)

    def meets(self, corners: npt.NDArray[np.float64], crs: str | None) -> npt.NDArray[np.bool_]:
        """(n, 4, 2) footprints in `crs` -> (n,) whether each meets the area."""
        import shapely  # noqa: PLC0415 - only needed when an area is given

        area = self.on(crs)
        low, high = corners.min(axis=1), corners.max(axis=1)
        x0, y0, x1, y1 = area.bounds
        near: npt.NDArray[np.bool_] = (
            (low[:, 0] <= x1) & (high[:, 0] >= x0) & (low[:, 1] <= y1) & (high[:, 1] >= y0)
        )
        shapely.prepare(area)
        near[near] = shapely.intersects(area, shapely.polygons(corners[near]))
        return near

    def on(self, crs: str | None) -> BaseGeometry:
        """The area in a raster's CRS; raises QueryError when it cannot be brought there."""
        import shapely  # noqa: PLC0415

        try:
            area = shapely.make_valid(shapely.geometry.shape(self.geometry))
        except (AttributeError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
            raise QueryError(
                f"The area is no GeoJSON geometry: {error}", "Give a Polygon or MultiPolygon."
            ) from error
        if area.is_empty:
            raise QueryError("The area is empty.", "Draw or choose a polygon.")
        return area if self.crs is None or crs is None else _reproject(area, self.crs, crs)


def _reproject(area: BaseGeometry, source: str, target: str) -> BaseGeometry:
    import shapely  # noqa: PLC0415

    x0, y0, x1, y1 = area.bounds
    dense = shapely.segmentize(area, max(x1 - x0, y1 - y0, 1e-9) / EDGE_PARTS)
    try:
        moved = shapely.transform(dense, lambda points: projections.moved(points, source, target))
    except projections.CrsUnusableError as error:
        raise QueryError(f"The area cannot be used: {error}.", "Use a CRS such as EPSG:4326.") from error
    if not np.isfinite(moved.bounds).all():
        raise QueryError("The area lies where the raster's CRS is not valid.", "Draw it nearer.")
    return shapely.make_valid(moved)
