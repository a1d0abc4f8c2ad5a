"""A raster as encoders take it: RGB uint8, stretched once for the whole raster, with its gaps known."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.contracts.arrays import U8, Bool
from rs_text_search_plugin.contracts.errors import RasterError
from rs_text_search_plugin.contracts.messages import Window

from .georeference import georeference, pixel_metres
from .sources import gdal_options, is_remote

Stretch = tuple[tuple[float, float], ...]

PREVIEW_PX = 1024
"""Longer side of the decimated read that the stretch is taken from."""
SAMPLED_BLOCKS = 64
"""Without overviews a large raster is sampled in so many of its blocks instead."""
SAMPLED_BLOCK_PX = 256
"""Of a large block only so much is taken, rows and columns, somewhere in it."""
PHOTO_RANGE = 64
"""8-bit bands whose 2-98 % range spans as much are shown as they are, as QGIS shows photographs."""


def open_raster(source: str | Path, bands: Sequence[int] | None = None) -> Raster:
    """Open anything GDAL reads as a file or URL. `bands` are 1-based: one or three.

    Raises RasterError with what to do about it.
    """
    return Raster(str(source), bands)


class Raster:
    """An open raster; use it as a context manager. All windows are in full-resolution px."""

    def __init__(self, source: str, bands: Sequence[int] | None = None) -> None:
        import rasterio  # noqa: PLC0415 - GDAL loads slowly, `--help` does not need it

        self.source = source
        self._stack = ExitStack()
        self._stack.enter_context(rasterio.Env(**gdal_options(source)))
        self.dataset = self._open()
        try:
            self.bands = self._choose_bands(bands)
            self.palette = self._palette()
        except RasterError:
            self._stack.close()
            raise
        self.transform, self.crs, self.badges = georeference(self.dataset)
        self.pixel_m = pixel_metres(self.transform, self.crs, self.width, self.height)

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

    def _open(self) -> Any:
        import rasterio  # noqa: PLC0415
        from rasterio.errors import NotGeoreferencedWarning, RasterioError  # noqa: PLC0415

        if not is_remote(self.source) and not Path(self.source).exists() and ":" not in self.source[2:]:
            raise RasterError(f"There is no file {self.source}.", "Check the path, or add the layer again.")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                dataset = self._stack.enter_context(rasterio.open(self.source))
                if dataset.driver == "GTiff" and dataset.profile.get("tiled"):
                    threads = {"num_threads": "ALL_CPUS"}  # faster on tiles, slower on strips
                    dataset = self._stack.enter_context(rasterio.open(self.source, **threads))
        except RasterioError as error:
            self._stack.close()
            raise RasterError(
                f"{self.source} is not a raster GDAL can read: {error}",
                "Open a GeoTIFF or another raster format.",
            ) from error
        if dataset.count == 0:
            hint = (
                f"It holds several rasters; name one: {dataset.subdatasets[0]}" if dataset.subdatasets else ""
            )
            self._stack.close()
            raise RasterError(f"{self.source} has no bands.", hint or "Choose another file.")
        return dataset

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
        """(256, 3) RGB of a palette band."""
        from rasterio.enums import ColorInterp  # noqa: PLC0415

        band = self.bands[0]
        if len(self.bands) > 1 or self.dataset.colorinterp[band - 1] != ColorInterp.palette:
            return None
        table = np.zeros((256, 3), dtype=np.uint8)
        for value, colour in self.dataset.colormap(band).items():
            table[value] = colour[:3]
        return table

    def stretch(self) -> Stretch:
        """(low, high) of each band: 2-98 % of the valid pixels of a decimated read.

        8-bit photographs keep (0, 255), as QGIS draws them. Raises RasterError when no pixel is valid.
        """
        if self.palette is not None:
            return ((0.0, 255.0),)
        data, valid = self._sample()
        if not valid.any():
            raise RasterError(f"{self.source} has no valid pixel.", "Check its nodata value and its mask.")
        ranges = []
        for band in data:
            values = band[valid & np.isfinite(band)]
            ranges.append(tuple(map(float, np.percentile(values, (2, 98)))) if len(values) else (0.0, 1.0))
        spread = max(high - low for low, high in ranges)
        if data.dtype == np.uint8 and (spread == 0 or spread >= PHOTO_RANGE):
            return ((0.0, 255.0),) * len(ranges)  # all bands alike, or colours would shift
        return tuple((low, high if high > low else low + 1.0) for low, high in ranges)

    def _sample(self) -> tuple[npt.NDArray[Any], Bool]:
        """Raw bands (bands, h, w) and validity (h, w) that stand for the whole raster."""
        factor = max(1, -(-max(self.width, self.height) // PREVIEW_PX))
        whole = Window(0, 0, self.width, self.height)
        shape = (-(-self.height // factor), -(-self.width // factor))
        if factor <= 2 or self.dataset.overviews(self.bands[0]):
            try:
                return self.raw(whole, shape)
            except RasterError:
                pass  # a block is damaged: those that are not will do
        data, valid = self._scattered()
        return (data, valid) if valid.any() else self.raw(whole, shape)

    def _scattered(self) -> tuple[npt.NDArray[Any], Bool]:
        """Raw (bands, 1, n) and validity (1, n) of pixels from up to SAMPLED_BLOCKS blocks that hold any."""
        block_h, block_w = self.dataset.block_shapes[self.bands[0] - 1]
        blocks = self._stored_blocks()
        draw = np.random.default_rng(0)
        chosen = draw.permutation(len(blocks))[:SAMPLED_BLOCKS]
        dtype = self.dataset.dtypes[self.bands[0] - 1]
        data, valid = [np.zeros((len(self.bands), 0), dtype)], [np.zeros(0, dtype=bool)]
        for row, col in blocks[np.sort(chosen)].tolist():
            x, y = col * block_w, row * block_h
            held_w, held_h = min(block_w, self.width - x), min(block_h, self.height - y)
            width, height = min(held_w, SAMPLED_BLOCK_PX), min(held_h, SAMPLED_BLOCK_PX)
            x, y = x + draw.integers(held_w - width + 1), y + draw.integers(held_h - height + 1)
            with suppress(RasterError):
                pixels, mask = self.raw(Window(x, y, width, height))
                data.append(pixels.reshape(len(self.bands), -1))
                valid.append(mask.ravel())
        return np.concatenate(data, axis=1)[:, None], np.concatenate(valid)[None]

    def _stored_blocks(self) -> npt.NDArray[np.int64]:
        """(n, 2) row and column of every block of the first band that is stored."""
        block_h, block_w = self.dataset.block_shapes[self.bands[0] - 1]
        rows, cols = np.mgrid[: -(-self.height // block_h), : -(-self.width // block_w)]
        blocks = np.column_stack([rows.ravel(), cols.ravel()])
        if self.dataset.driver == "GTiff":
            blocks = blocks[[self._stores(row, col) for row, col in blocks.tolist()]]
        return blocks

    def _stores(self, row: int, col: int) -> bool:
        """Whether a GeoTIFF holds a block: sparse ones leave out what nobody wrote."""
        from rasterio.errors import RasterBlockError  # noqa: PLC0415

        try:
            return bool(self.dataset.block_size(self.bands[0], row, col))
        except RasterBlockError:
            return False

    def raw(self, window: Window, shape: tuple[int, int] | None = None) -> tuple[npt.NDArray[Any], Bool]:
        """Bands (bands, h, w) as stored and validity (h, w), resampled to `shape` (through overviews).

        Raises RasterError when blocks cannot be read.
        """
        from rasterio.enums import MaskFlags  # noqa: PLC0415
        from rasterio.errors import RasterioError  # noqa: PLC0415
        from rasterio.windows import Window as GdalWindow  # noqa: PLC0415

        shape = shape or (window.height, window.width)
        how = {"window": GdalWindow(window.x, window.y, window.width, window.height), "out_shape": shape}
        flags = self.dataset.mask_flag_enums[self.bands[0] - 1]
        masked = MaskFlags.per_dataset in flags or MaskFlags.alpha in flags
        try:
            data = self.dataset.read(list(self.bands), resampling=self._resampling(window, shape), **how)
            mask = self.dataset.read_masks(self.bands[0], **how) if masked else None
        except RasterioError as error:
            raise RasterError(
                f"A part of {self.source} cannot be read: {error}", "The file may be damaged or cut short."
            ) from error
        if np.iscomplexobj(data):
            data = np.abs(data)  # radar: its brightness
        valid = np.ones(shape, dtype=bool) if mask is None else mask > 0
        return data, valid & self._holds_data(data)

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
            image = self.palette[data[0].astype(np.uint8)]
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
        block_h, block_w = self.dataset.block_shapes[self.bands[0] - 1]
        rows = range(window.y // block_h, -(-(window.y + window.height) // block_h))
        cols = range(window.x // block_w, -(-(window.x + window.width) // block_w))
        return any(self._stores(row, col) for row in rows for col in cols)


def stretched(band: npt.NDArray[Any], low: float, high: float) -> U8:
    """(h, w) of any type -> uint8, `low` to 0 and `high` to 255; NaN becomes 0."""
    if band.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return np.asarray(band, dtype=np.uint8)
    scaled = (band.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    whole = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255)
    return np.asarray(whole, dtype=np.uint8)
