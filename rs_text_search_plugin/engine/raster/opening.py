"""Opening a raster: what GDAL says when it cannot, and what is refused before anything of it is read."""

from __future__ import annotations

import os
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from rs_text_search_plugin.contracts.errors import RasterError

from .sources import is_remote

os.environ.setdefault(
    "GDAL_SKIP", "ISG"
)  # reads a table as long as a file's header says; of no use for images

MAX_BLOCK_BYTES = 1 << 30
"""A block is read and decoded as a whole."""


def open_dataset(stack: ExitStack, source: str) -> Any:
    """A rasterio dataset, closed with `stack`. Raises RasterError."""
    import rasterio  # noqa: PLC0415 - GDAL loads slowly, `--help` does not need it
    from rasterio.errors import NotGeoreferencedWarning  # noqa: PLC0415

    if not is_remote(source) and not Path(source).exists() and ":" not in source[2:]:
        raise RasterError(f"There is no file {source}.", "Check the path, or add the layer again.")
    failures: tuple[type[Exception], ...] = (*gdal_errors(), ValueError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            dataset = stack.enter_context(rasterio.open(source))
            if dataset.driver == "GTiff" and dataset.profile.get("tiled"):
                threads = {"num_threads": "ALL_CPUS"}  # faster on tiles, slower on strips
                dataset = stack.enter_context(rasterio.open(source, **threads))
    except failures as error:
        raise RasterError(
            f"{source} is not a raster GDAL can read: {reason(error)}",
            "Open a GeoTIFF or another raster format.",
        ) from error
    _check(dataset, source)
    return dataset


def _check(dataset: Any, source: str) -> None:
    if dataset.count == 0:
        several = dataset.subdatasets
        hint = f"It holds several rasters; name one: {several[0]}" if several else "Choose another file."
        raise RasterError(f"{source} has no bands.", hint)
    height, width = dataset.block_shapes[0]
    size = height * width * np.dtype(dtype_of(dataset, 1)).itemsize
    if size > MAX_BLOCK_BYTES:
        raise RasterError(
            f"{source} stores its pixels in blocks of {height:,} x {width:,}, which take {size / 1e9:,.0f} GB each.",
            "Convert it to a tiled GeoTIFF: gdal_translate -co TILED=YES.",
        )


def gdal_errors() -> tuple[type[Exception], ...]:
    """What rasterio raises for what GDAL cannot do; some of it comes as GDAL's own errors."""
    from rasterio._err import CPLE_BaseError  # noqa: PLC0415
    from rasterio.errors import RasterioError  # noqa: PLC0415

    return RasterioError, CPLE_BaseError


def dtype_of(dataset: Any, band: int) -> str:
    """The numpy type in which a band is read; numpy has no complex integers."""
    name = str(dataset.dtypes[band - 1])
    return "complex64" if name.startswith("complex_int") else name


def reason(error: BaseException) -> str:
    """What GDAL itself says, which rasterio keeps in the exception before its own."""
    cause = error.__cause__ or error.__context__
    said = str(getattr(cause, "errmsg", None) or cause or error)
    return said.strip().rstrip(".")
