"""A grid of numbers as a GeoTIFF."""

from __future__ import annotations

from pathlib import Path

from affine import Affine

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.errors import ExportError

NODATA = -1.0
"""Where nothing is known; what is written is never negative."""


def write_grid(path: Path, grid: F32, transform: tuple[float, ...], crs: str | None) -> Path:
    """Write (rows, cols) as a cloud-optimised GeoTIFF. `transform` is affine (a, b, c, d, e, f). Raises ExportError."""
    import rasterio  # noqa: PLC0415 - not needed to search
    from rasterio._err import CPLE_BaseError  # noqa: PLC0415 - what the driver raises as the file is closed
    from rasterio.errors import RasterioError  # noqa: PLC0415

    profile = {
        "driver": "COG",
        "width": grid.shape[1],
        "height": grid.shape[0],
        "count": 1,
        "dtype": "float32",
        "nodata": NODATA,
        "compress": "deflate",
        "crs": crs,
        "transform": Affine(*transform),
    }
    try:
        with rasterio.open(path, "w", **profile) as file:
            file.write(grid.astype("float32"), 1)
    except (RasterioError, CPLE_BaseError, OSError) as error:
        raise ExportError(
            f"{path} cannot be written: {error}", "Choose a folder you may write to."
        ) from error
    return path
