"""A raster as encoders take it: RGB uint8, stretched once for the whole raster, with its gaps known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.contracts.arrays import U8, Bool
from rs_text_search_plugin.contracts.errors import RasterError
from rs_text_search_plugin.contracts.messages import Window

from .georeference import georeference, pixel_metres
from .network import address_in, is_followed, is_remembered
from .opening import gdal_errors, open_dataset, reason
from .sampling import Stretch, stretch_of
from .sources import absolute, gdal_options, is_remote


def open_raster(
    source: str | Path, bands: Sequence[int] | None = None, *, allow_network: bool = False
) -> Raster:
    """Open anything GDAL reads as a file or URL. `bands` are 1-based: one or three.

    Raises RasterError with what to do about it, also for a file that takes its pixels from another machine unless
    `allow_network` says that it may.
    """
    name, address = str(source), address_in(str(source))
    if address and not (allow_network or is_remote(name) or is_remembered(absolute(name))):
        raise RasterError(
            f"{name} takes its pixels from another machine: {address}",
            "If you trust that address, allow it with --allow-network.",
        )
    return Raster(name, bands, address)


def open_indexed(source: str, bands: Sequence[int]) -> Raster:
    """The raster that an index names; the index may come from a stranger. Raises RasterError."""
    if not is_followed(source):
        raise RasterError(
            f"The index names an address that was not indexed from here: {source[:200]}",
            "If you trust it, index it again; what is done is kept.",
        )
    return open_raster(source, bands)


class Raster:
    """An open raster; use it as a context manager. All windows are in full-resolution px."""

    def __init__(self, source: str, bands: Sequence[int] | None = None, address: str | None = None) -> None:
        import rasterio  # noqa: PLC0415 - GDAL loads slowly, `--help` does not need it

        self.source = source
        self.address = address
        """Where pixels come from when that is another machine."""
        self._stack = ExitStack()
        self._stack.enter_context(rasterio.Env(**gdal_options(source, local=address is None)))
        try:
            self.dataset = open_dataset(self._stack, source)
            self.bands = self._choose_bands(bands)
            self.palette = self._palette()
            self.transform, self.crs, self.badges = georeference(self.dataset)
            self.pixel_m = pixel_metres(self.transform, self.crs, self.width, self.height)
        except RasterError:
            self._stack.close()
            raise
        except gdal_errors() as error:
            self._stack.close()
            raise RasterError(
                f"{source} is damaged: {reason(error)}.", "Open another copy of the file."
            ) from error

    def __enter__(self) -> Raster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def width(self) -> int:
        """Columns, px."""
        return int(self.dataset.width)

    @property
    def height(self) -> int:
        """Rows, px."""
        return int(self.dataset.height)

    @property
    def gsd_m(self) -> float | None:
        """Ground sample distance, m/px; None without a CRS."""
        return None if self.pixel_m is None else math.sqrt(self.pixel_m[0] * self.pixel_m[1])

    @property
    def block_shape(self) -> tuple[int, int]:
        """Rows and columns of the blocks that the first band is stored in, px."""
        rows, cols = self.dataset.block_shapes[self.bands[0] - 1]
        return int(rows), int(cols)

    def _choose_bands(self, bands: Sequence[int] | None) -> tuple[int, ...]:
        """Those asked for, else those declared red, green, blue, else the first three, else the only one."""
        from rasterio.enums import ColorInterp  # noqa: PLC0415

        count = self.dataset.count
        if bands:
            wrong = [band for band in bands if not 1 <= band <= count]
            if wrong or len(bands) not in {1, 3}:
                raise RasterError(
                    f"Bands {','.join(map(str, bands))} cannot be used: the raster has {count}.",
                    "Give one band, or three for red, green and blue.",
                )
            return tuple(bands)
        declared = list(self.dataset.colorinterp)
        colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        if all(colour in declared for colour in colours):
            return tuple(declared.index(colour) + 1 for colour in colours)
        coloured = [band for band, kind in enumerate(declared, start=1) if kind != ColorInterp.alpha]
        return tuple(coloured[:3]) if len(coloured) >= 3 else tuple(coloured[:1])

    def _palette(self) -> U8 | None:
        """(entries, 3) RGB of a palette band."""
        from rasterio.enums import ColorInterp  # noqa: PLC0415

        band = self.bands[0]
        if len(self.bands) > 1 or self.dataset.colorinterp[band - 1] != ColorInterp.palette:
            return None
        colours = self.dataset.colormap(band)
        table = np.zeros((max(256, *colours, 0) + 1, 3), dtype=np.uint8)
        for value, colour in colours.items():
            table[value] = colour[:3]
        return table

    def stretch(self) -> Stretch:
        """(low, high) of each band for the whole raster; see sampling.py. Raises RasterError."""
        return stretch_of(self)

    def stores(self, row: int, col: int) -> bool:
        """Whether a block of the first band is stored: sparse GeoTIFFs leave out what nobody wrote."""
        from rasterio.errors import RasterBlockError  # noqa: PLC0415

        if self.dataset.driver != "GTiff":
            return True
        try:
            return bool(self.dataset.block_size(self.bands[0], row, col))
        except RasterBlockError:
            return False

    def raw(self, window: Window, shape: tuple[int, int] | None = None) -> tuple[npt.NDArray[Any], Bool]:
        """Bands (bands, h, w) as stored and validity (h, w), resampled to `shape` (through overviews).

        Raises RasterError when blocks cannot be read.
        """
        from rasterio.enums import MaskFlags  # noqa: PLC0415
        from rasterio.windows import Window as GdalWindow  # noqa: PLC0415

        shape = shape or (window.height, window.width)
        how = {"window": GdalWindow(window.x, window.y, window.width, window.height), "out_shape": shape}
        flags = self.dataset.mask_flag_enums[self.bands[0] - 1]
        masked = MaskFlags.per_dataset in flags or MaskFlags.alpha in flags
        try:
            data = self.dataset.read(list(self.bands), resampling=self._resampling(window, shape), **how)
            mask = self.dataset.read_masks(self.bands[0], **how) if masked else None
        except gdal_errors() as error:
            self._reopen()
            raise RasterError(
                f"A part of {self.source} cannot be read: {reason(error)}.",
                "The file may be damaged or cut short.",
            ) from error
        if np.iscomplexobj(data):
            data = np.abs(data)  # radar: its brightness
        valid = np.ones(shape, dtype=bool) if mask is None else mask > 0
        return data, valid & self._holds_data(data)

    def _reopen(self) -> None:
        """A new handle after a failed read: from the old one GDAL may give zeros for what it could not read."""
        self.dataset.close()
        self.dataset = open_dataset(self._stack, self.source)

    def _resampling(self, window: Window, shape: tuple[int, int]) -> Any:
        from rasterio.enums import Resampling  # noqa: PLC0415

        if self.palette is not None or shape == (window.height, window.width):
            return Resampling.nearest
        return Resampling.average if shape[0] <= window.height else Resampling.bilinear

    def _holds_data(self, data: npt.NDArray[Any]) -> Bool:
        """(bands, h, w) -> (h, w): finite, and in at least one band other than nodata."""
        valid = np.ones(data.shape[1:], dtype=bool)
        if data.dtype.kind == "f":
            valid &= np.isfinite(data).all(axis=0)
        gaps = [self.dataset.nodatavals[band - 1] for band in self.bands]
        if all(gap is not None and not math.isnan(gap) for gap in gaps):
            valid &= np.logical_or.reduce([band != gap for band, gap in zip(data, gaps, strict=True)])
        return np.asarray(valid, dtype=np.bool_)

    def rgb(self, window: Window, stretch: Stretch, shape: tuple[int, int] | None = None) -> tuple[U8, Bool]:
        """(h, w, 3) uint8 and validity (h, w) of a window; invalid pixels are black. Raises RasterError."""
        data, valid = self.raw(window, shape)
        if self.palette is not None:
            image = self.palette[data[0].astype(np.int64).clip(0, len(self.palette) - 1)]
        else:
            image = np.stack(
                [stretched(band, *limits) for band, limits in zip(data, stretch, strict=True)], -1
            )
        if image.shape[-1] == 1:
            image = np.repeat(image, 3, axis=-1)
        if not valid.all():
            image[~valid] = 0
        return image, valid

    def read_tiles(self, windows: Sequence[Window], size_px: int, stretch: Stretch | None = None) -> U8:
        """Windows -> (n, size_px, size_px, 3) RGB, for thumbnails and rerankers. Raises RasterError."""
        limits = stretch or self.stretch()
        tiles = np.zeros((len(windows), size_px, size_px, 3), dtype=np.uint8)
        for tile, window in zip(tiles, windows, strict=True):
            tile[:], _ = self.rgb(window, limits, (size_px, size_px))
        return tiles

    def holds_blocks(self, window: Window) -> bool:
        """False when a sparse GeoTIFF stores nothing in this window: it need not be read at all."""
        if self.dataset.driver != "GTiff":
            return True
        block_h, block_w = self.block_shape
        rows = range(window.y // block_h, -(-(window.y + window.height) // block_h))
        cols = range(window.x // block_w, -(-(window.x + window.width) // block_w))
        return any(self.stores(row, col) for row in rows for col in cols)


def stretched(band: npt.NDArray[Any], low: float, high: float) -> U8:
    """(h, w) of any type -> uint8, `low` to 0 and `high` to 255; NaN becomes 0."""
    if band.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return np.asarray(band, dtype=np.uint8)
    scaled = (band.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    whole = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255)
    return np.asarray(whole, dtype=np.uint8)
