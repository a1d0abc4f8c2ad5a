"""Points from one coordinate reference system to another."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from rs_text_search_plugin.contracts.arrays import F64


class CrsUnusableError(ValueError):
    """A CRS is not known, or there is no way from one to the other (another body, say)."""


def transform_points(points: F64, source: str, target: str) -> F64:
    """(n, 2) x, y -> (n, 2); CRS as WKT2 or authority code.

    Raises CrsUnusableError for an unknown CRS, and with PROJ's reason for a point that has no place in `target`;
    some transformations make such a point infinite instead.
    """
    from rasterio._err import CPLE_BaseError  # noqa: PLC0415 - what PROJ's refusal arrives as
    from rasterio.errors import CRSError  # noqa: PLC0415
    from rasterio.warp import transform  # noqa: PLC0415

    start, end = _known(source), _known(target)
    try:
        return np.stack(transform(start, end, points[:, 0], points[:, 1]), axis=1)
    except (CRSError, CPLE_BaseError) as error:
        raise CrsUnusableError(f"There is no way from one CRS to the other: {error}") from error


def reproject(shapes: Any, source: str, target: str, step: float) -> Any:
    """Shapely geometries brought to another CRS, with a vertex every `step` source units, as edges may bend.

    Raises CrsUnusableError, also where the target CRS is not valid.
    """
    import shapely  # noqa: PLC0415 - only needed for areas and exports

    dense = shapely.segmentize(shapes, step)
    found = shapely.transform(dense, lambda points: transform_points(points, source, target))
    if not np.isfinite(shapely.bounds(found)).all():
        raise CrsUnusableError("A place lies where the CRS is not valid")
    return found


PLAIN = re.compile(
    r"[A-Za-z][\w-]{0,30}:[\w.-]{1,30}|urn:ogc:def:crs:[\w.:]{1,60}|(PROJ|GEOG|GEOD|ENG|VERT|BOUND|COMPOUND|DERIVEDPROJ|TIME|PARAMETRIC)CRS\[.*"
    r"|(PROJ|GEOG|GEOC|LOCAL_|VERT_|COMPD_|FITTED_)CS\[.*",
    re.DOTALL,
)
"""An authority's code, an OGC URN, or WKT 2 or 1; GDAL would also take addresses, and contact them."""


def is_plain(crs: str) -> bool:
    """Whether a text is WKT or an authority's code in form, and can be given to GDAL."""
    return bool(PLAIN.fullmatch(crs.strip())) and not crs.lower().startswith(("http:", "https:", "ftp:"))


def same(one: str, other: str) -> bool:
    """Whether two CRS are the same in meaning."""
    return bool(_known(one) == _known(other))


def projjson(crs: str) -> dict[str, Any]:
    """A CRS as PROJJSON."""
    found: dict[str, Any] = _known(crs).to_dict(projjson=True)
    return found


def _known(crs: str) -> Any:
    from rasterio.crs import CRS  # noqa: PLC0415
    from rasterio.errors import CRSError  # noqa: PLC0415

    if not is_plain(crs):
        raise CrsUnusableError(f"Unknown CRS “{crs[:60]}”; give WKT or a code such as EPSG:4326")
    try:
        return CRS.from_user_input(crs)
    except CRSError as error:
        raise CrsUnusableError(f"Unknown CRS “{crs[:60]}”") from error
