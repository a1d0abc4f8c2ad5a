"""A grid of numbers as a GeoTIFF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.errors import ExportError
from rs_text_search_plugin.engine.raster.opening import reason
from rs_text_search_plugin.models.files import written_whole

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
        with written_whole(path, private=False) as part:
            with rasterio.open(part, "w", **profile) as file:
                file.write(grid.astype("float32"), 1)
            _check(part, grid)
    except (RasterioError, CPLE_BaseError, OSError) as error:
        raise ExportError(
            f"{path} cannot be written: {reason(error)}.", "Make room, or choose a folder you may write to."
        ) from error
    return path


def _check(file: Path, grid: F32) -> None:
    """Read a raster again: GDAL does not tell of every error while it writes. Raises OSError."""
    import rasterio  # noqa: PLC0415

    with rasterio.open(file) as written:
        if not np.array_equal(written.read(1), grid):
            raise OSError("what was written cannot be read again")
