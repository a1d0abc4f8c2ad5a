"""Scores of tiles -> scores on the raster's stride cells -> heat GeoTIFF and regions of touching matches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.contracts.arrays import F32, I32, Bool
from rs_text_search_plugin.engine.output.rasters import NODATA, write_grid
from rs_text_search_plugin.engine.output.targets import refuse_input

if TYPE_CHECKING:
    from rs_text_search_plugin.engine.index.store import Index

ALL_TILES = slice(None)


@dataclass(frozen=True)
class Region:
    """Touching matches merged. `geometry` is GeoJSON in the raster's CRS, to the nearest stride cell."""

    region: int
    index: str
    score: float
    tiles: int
    geometry: dict[str, Any]


@dataclass(frozen=True)
class Cells:
    """The stride cells of a raster, and the block of cells [top:bottom, left:right] under each of n tiles."""

    rows: int
    cols: int
    top: I32
    bottom: I32
    left: I32
    right: I32


def cells(index: Index, chosen: Bool | slice = ALL_TILES) -> Cells:
    """Cells of the chosen tiles. One cell is one stride of the lattice; without overlap that is one tile."""
    lattice, windows = index.meta.lattice, np.asarray(index.windows[chosen])

    def span(start: I32, size: I32, step: int, length: int) -> tuple[int, I32, I32]:
        count = max(1, round(length / step))
        first = np.minimum(np.rint(start / step), count - 1).astype(np.int32)
        last = np.clip(np.rint((start + size) / step), first + 1, count).astype(np.int32)
        return count, first, last

    cols, left, right = span(windows[:, 0], windows[:, 2], lattice.step_x, lattice.width)
    rows, top, bottom = span(windows[:, 1], windows[:, 3], lattice.step_y, lattice.height)
    return Cells(rows, cols, top, bottom, left, right)


def box_sum(grid: Cells, values: F32 | None = None) -> npt.NDArray[np.float64]:
    """(rows, cols) sum over the tiles that cover each cell of `values` (n,), or of 1."""
    corners = np.zeros((grid.rows + 1) * (grid.cols + 1))
    for y, x, sign in (
        (grid.top, grid.left, 1),
        (grid.bottom, grid.right, 1),
        (grid.top, grid.right, -1),
        (grid.bottom, grid.left, -1),
    ):
        place = y.astype(np.int64) * (grid.cols + 1) + x
        corners += sign * np.bincount(place, values, corners.size)
    sums = corners.reshape(grid.rows + 1, grid.cols + 1).cumsum(axis=0).cumsum(axis=1)
    return np.asarray(sums[:-1, :-1])


def heat(index: Index, scores: F32) -> F32:
    """(rows, cols) mean score of the tiles over each stride cell, at the level where it is highest; NODATA where
    none lies."""
    level = index.meta.tiling.of(index.ids)
    best: F32 = np.maximum.reduce(
        [_level_heat(index, scores, level == number) for number in range(index.meta.levels)]
    )
    return best


def _level_heat(index: Index, scores: F32, chosen: Bool) -> F32:
    """The heat of the chosen tiles (n,) alone."""
    grid = cells(index, chosen)
    count = np.rint(box_sum(grid))
    mean = box_sum(grid, scores[chosen]) / np.maximum(count, 1)
    return np.where(count > 0, mean.clip(0, 100), NODATA).astype(np.float32)


def write_heat(index: Index, scores: F32, path: Path) -> Path:
    """Write `heat` as a cloud-optimised GeoTIFF: a pixel is one stride cell, along the raster's true axes.

    Raises ExportError, also when `path` is the raster itself."""
    refuse_input(path, [index])
    meta = index.meta
    step_x, step_y, (a, b, c, d, e, f) = meta.lattice.step_x, meta.lattice.step_y, meta.transform
    transform = (a * step_x, b * step_y, c, d * step_x, e * step_y, f)
    return write_grid(path, heat(index, scores), transform, meta.crs)


def merge(index: Index, scores: F32, chosen: Bool) -> tuple[list[Region], I32]:
    """Regions of the chosen tiles (n,) that overlap or touch, corners included; best first, numbered from 1.

    Returns the regions and the region number of each tile (n,), 0 where it is not chosen.
    """
    labels = np.zeros(len(chosen), dtype=np.int32)
    if not chosen.any():
        return [], labels
    numbers, polygons = _components(cells(index, chosen))
    best = np.zeros(len(polygons) + 1, dtype=np.float32)
    np.maximum.at(best, numbers, scores[chosen])
    order = np.argsort(-best[1:], kind="stable") + 1
    rank = np.zeros(len(polygons) + 1, dtype=np.int32)
    rank[order] = np.arange(1, len(order) + 1)
    labels[chosen] = rank[numbers]
    count = np.bincount(numbers, minlength=len(polygons) + 1)
    found = [
        Region(
            int(rank[i]), str(index.folder), float(best[i]), int(count[i]), _outline(index, polygons[i - 1])
        )
        for i in order
    ]
    return found, labels


def _components(grid: Cells) -> tuple[I32, list[dict[str, Any]]]:
    """Component number from 1 of each tile, and each component's polygon in cell coordinates."""
    from rasterio.features import rasterize, shapes  # noqa: PLC0415 - not needed to search

    x0, y0 = int(grid.left.min()), int(grid.top.min())
    rows, cols = int(grid.bottom.max()) - y0, int(grid.right.max()) - x0
    small = Cells(rows, cols, grid.top - y0, grid.bottom - y0, grid.left - x0, grid.right - x0)
    mask = np.rint(box_sum(small)) > 0
    polygons = [polygon for polygon, _ in shapes(mask.astype(np.uint8), mask=mask, connectivity=8)]
    numbered = ((polygon, i) for i, polygon in enumerate(polygons, start=1))
    labels = rasterize(numbered, out_shape=mask.shape, dtype="int32")
    return labels[small.top, small.left], [_shift(polygon, x0, y0) for polygon in polygons]


def _shift(polygon: dict[str, Any], x: int, y: int) -> dict[str, Any]:
    rings = [[(px + x, py + y) for px, py in ring] for ring in polygon["coordinates"]]
    return {"type": "Polygon", "coordinates": rings}


def _outline(index: Index, polygon: dict[str, Any]) -> dict[str, Any]:
    """A polygon in cell coordinates -> valid GeoJSON in the raster's CRS, kept inside the raster."""
    import shapely  # noqa: PLC0415 - not needed to search

    lattice, (a, b, c, d, e, f) = index.meta.lattice, index.meta.transform
    last_col, last_row = (
        max(1, round(lattice.width / lattice.step_x)),
        max(1, round(lattice.height / lattice.step_y)),
    )

    def place(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        x = np.where(points[:, 0] >= last_col, lattice.width, points[:, 0] * lattice.step_x)
        y = np.where(points[:, 1] >= last_row, lattice.height, points[:, 1] * lattice.step_y)
        return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)

    # Components that touch at corners make rings that touch themselves; make_valid splits those.
    valid = shapely.make_valid(shapely.geometry.shape(polygon))
    geometry: dict[str, Any] = shapely.geometry.mapping(shapely.transform(valid, place))
    return geometry
