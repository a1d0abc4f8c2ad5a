"""The header that makes a Parquet file a GeoParquet 1.1 file (geoparquet.org), for indexes and exports alike."""

from __future__ import annotations

import json
from typing import Any

from rs_text_search_plugin.contracts.arrays import F64
from rs_text_search_plugin.engine.raster.crs import projjson

SIDES = ("xmin", "ymin", "xmax", "ymax")


def geo_header(crs: str | None, bounds: F64, *, covering: bool = False) -> dict[str, str]:
    """Schema metadata for a column `geometry` of polygons as WKB.

    `crs` as WKT2, None when there is none; `bounds` (n, 4) xmin, ymin, xmax, ymax of each polygon; `covering`
    says that they are also stored in a column `bbox`. Raises CrsUnusableError.
    """
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": projjson(crs) if crs else None,
    }
    if covering:
        column["covering"] = {"bbox": {side: ["bbox", side] for side in SIDES}}
    if len(bounds):
        column["bbox"] = [*bounds[:, :2].min(0).tolist(), *bounds[:, 2:].max(0).tolist()]
    header = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    return {"geo": json.dumps(header)}
