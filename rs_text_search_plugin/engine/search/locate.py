"""From a point on the map to the tiles over it, and from tiles to pictures of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rs_text_search_plugin.contracts.arrays import I64, U8
from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.contracts.messages import Window
from rs_text_search_plugin.engine.index.store import Index
from rs_text_search_plugin.engine.raster.crs import CrsUnusableError, moved
from rs_text_search_plugin.engine.raster.reader import open_raster


def tiles_at(index: Index, x: float, y: float, crs: str | None = None) -> I64:
    """Positions (k,) of the tiles over a point, nearest centre first; `crs` None is the raster's own."""
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
        there = moved(np.array([[x, y]]), crs, index.meta.crs)[0]
    except CrsUnusableError as error:
        raise QueryError(f"{error}.", "Give an authority code such as EPSG:4326, or WKT.") from error
    return float(there[0]), float(there[1])


def thumbnails(index: Index, ids: Sequence[int], size: int, folder: Path) -> list[Path]:
    """One PNG of size x size px a tile, read from the raster unless `folder` has it. Raises: RasterError."""
    paths = [folder / f"{id_}-{size}.png" for id_ in ids]
    missing = [i for i, path in enumerate(paths) if not path.exists()]
    if missing:
        windows = [Window(*map(int, index.windows[index.position(ids[i])])) for i in missing]
        with open_raster(index.meta.source, index.meta.bands) as raster:
            for i, tile in zip(missing, raster.read_tiles(windows, size, index.meta.stretch), strict=True):
                write_png(paths[i], tile)
    return paths


def write_png(path: Path, picture: U8) -> None:
    """(h, w, 3) RGB uint8 as a PNG file."""
    import rasterio  # noqa: PLC0415
    from rasterio.errors import NotGeoreferencedWarning  # noqa: PLC0415

    height, width, bands = picture.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="PNG", width=width, height=height, count=bands, dtype="uint8"
        ) as file:
            file.write(picture.transpose(2, 0, 1))
