"""Where a raster lies and how large its pixels are on the ground."""

from __future__ import annotations

import math
import re
from typing import Any

from rs_text_search_plugin.contracts.errors import RasterError
from rs_text_search_plugin.engine.index.grid import Transform

PIXEL_UNITS = (1e-12, 1e12)
"""A side of a pixel below or above is a damaged number, in any unit."""
EARTH_RADIUS_M = 6_378_137.0


def georeference(dataset: Any) -> tuple[Transform, str | None, list[str]]:
    """Affine transform, CRS as WKT2 and badges of a rasterio dataset.

    Ground control points are replaced by the affine transform that fits them best. Raises RasterError for a
    transform that cannot be inverted.
    """
    import rasterio  # noqa: PLC0415 - GDAL loads slowly, `--help` does not need it

    badges = []
    affine, crs = dataset.transform, dataset.crs
    points, points_crs = dataset.gcps
    if points and affine.is_identity:
        affine, crs = rasterio.transform.from_gcps(points), points_crs
        badges.append("placed by ground control points")
    sides = math.hypot(affine.a, affine.d), math.hypot(affine.b, affine.e)
    if not all(PIXEL_UNITS[0] < side < PIXEL_UNITS[1] for side in sides) or affine.determinant == 0:
        raise RasterError(
            f"{dataset.name} has a georeference in which its pixels have no size on the ground.",
            "Correct it, or remove the world file or .aux.xml beside it.",
        )
    if not crs:
        badges.append("no CRS")
    if affine.b or affine.d:
        badges.append("rotated")
    wkt = crs.to_wkt(version="WKT2_2019") if crs else None
    return (affine.a, affine.b, affine.c, affine.d, affine.e, affine.f), wkt, badges


def pixel_metres(
    transform: Transform, crs: str | None, width: int, height: int
) -> tuple[float, float] | None:
    """Size of the middle pixel along its row and along its column, m; None without a CRS."""
    if crs is None:
        return None
    a, b, _, d, e, f = transform
    east, north = _unit_metres(crs, d * width / 2 + e * height / 2 + f)
    return math.hypot(a * east, d * north), math.hypot(b * east, e * north)


def _unit_metres(wkt: str, y: float) -> tuple[float, float]:
    """Metres per map unit, eastwards and northwards, at the northing or latitude `y`."""
    from rasterio.crs import CRS  # noqa: PLC0415

    crs, radius = CRS.from_wkt(wkt), ellipsoid_radius(wkt)
    if crs.is_geographic:
        degree = math.radians(1) * radius
        return max(degree * math.cos(math.radians(y)), 1e-6), degree
    if re.search("Pseudo.Mercator", wkt):
        shrink = 1 / math.cosh(y / radius)  # web maps stretch by 1 / cos(latitude)
        return shrink, shrink
    unit = float(crs.linear_units_factor[1]) if crs.is_projected else 1.0
    return unit, unit


def ellipsoid_radius(wkt: str) -> float:
    """Semi-major axis in a CRS's WKT, m; the Earth's when it names none."""
    found = re.search(r'(?:ELLIPSOID|SPHEROID)\["[^"]*",\s*([\d.eE+]+)', wkt)
    return float(found[1]) if found else EARTH_RADIUS_M
