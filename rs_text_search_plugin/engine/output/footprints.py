"""Footprints of tiles from one or many rasters, brought to one CRS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.contracts.arrays import I64
from rs_text_search_plugin.contracts.errors import ExportError
from rs_text_search_plugin.engine.raster import crs

if TYPE_CHECKING:
    from rs_text_search_plugin.engine.index.store import Index

EDGE_PARTS = 16
"""An edge is cut into so many parts before it is reprojected, as it may bend."""
Corners = Sequence[Sequence[float]] | npt.NDArray[np.float64]


@dataclass(frozen=True)
class Footprints:
    """Polygons (n,) as WKB in `crs` (None: the raster's own pixel or local coordinates)."""

    wkb: npt.NDArray[np.object_]
    rows: I64
    """Which of the tiles asked for they are."""
    crs: str | None
    warnings: tuple[str, ...]

    def on_earth(self) -> bool:
        """Whether they can be given in longitude and latitude on the Earth."""
        try:
            return (
                self.crs is not None
                and len(crs.transform_points(np.zeros((1, 2)), self.crs, "EPSG:4326")) == 1
            )
        except crs.CrsUnusableError:
            return False


def footprints(
    tiles: Sequence[tuple[str, Corners]], indexes: Mapping[str, Index], wanted: str | None = None
) -> Footprints:
    """Polygons of (index folder, 4 corners) pairs in one CRS: `wanted`, else the first that an index has.

    Tiles of rasters without a CRS can only be written where no CRS is wanted; elsewhere they are left out.
    Raises ExportError.
    """
    import shapely  # noqa: PLC0415

    if wanted and not crs.is_plain(wanted):
        raise ExportError(f"Unknown CRS “{wanted[:60]}”.", "Give WKT or a code such as EPSG:4326.")
    known = [index.meta.crs for index in indexes.values() if index.meta.crs]
    target = wanted or (known[0] if known else None)
    folders = np.array([folder for folder, _ in tiles], dtype=object)
    shapes = np.array([shapely.Polygon(np.asarray(corners)) for _, corners in tiles], dtype=object)
    kept = np.ones(len(tiles), dtype=bool)
    warnings = []
    for folder, index in indexes.items():
        mine = folders == folder
        if not mine.any():
            continue
        if index.meta.crs is None:
            warnings.append(_without_crs(index, target))
            kept[mine] = target is None
        elif target is not None:
            shapes[mine] = _reproject(shapes[mine], index.meta.crs, target)
    rows = np.flatnonzero(kept)
    return Footprints(np.array(shapely.to_wkb(shapes[rows]), dtype=object), rows, target, tuple(warnings))


def _without_crs(index: Index, target: str | None) -> str:
    name = str(index.meta.source)
    if target is None:
        return f"{name} has no CRS: its footprints are in the raster's own coordinates."
    return f"{name} has no CRS: its matches were left out. Give the raster a CRS, or export it alone."


def _reproject(shapes: npt.NDArray[np.object_], source: str, target: str) -> npt.NDArray[np.object_]:
    """Polygons (n,) in another CRS. Raises ExportError."""
    import shapely  # noqa: PLC0415

    try:
        if crs.same(source, target):
            return shapes
        edge = float(shapely.length(shapes).max()) / 4
        reprojected: npt.NDArray[np.object_] = crs.reproject(shapes, source, target, edge / EDGE_PARTS)
        return reprojected
    except crs.CrsUnusableError as error:
        raise ExportError(f"{error}.", "Choose another CRS, or none.") from error
