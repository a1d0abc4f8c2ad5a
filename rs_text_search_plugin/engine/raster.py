"""A raster as the encoder wants to see it: RGB uint8, stretched once for the whole raster, gaps known."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import RasterError
from .grid import Transform
from .types import U8, Window

Valid = npt.NDArray[np.bool_]
Stretch = tuple[tuple[float, float], ...]

REMOTE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_VERSION": "2",
    "VSI_CACHE": "TRUE",
}
"""What rasterio's guide advises for cloud-optimised GeoTIFFs."""
PREVIEW_PX = 1024
"""Longer side of the decimated read that the stretch is taken from."""
SAMPLES = 8
"""Without overviews a large raster is sampled by SAMPLES x SAMPLES windows instead."""
PHOTO_RANGE = 64
"""8-bit bands whose 2-98 % range spans as much are shown as they are, as QGIS shows photographs."""


def is_remote(source: str) -> bool:
    """Whether a source is a URL or one of GDAL's virtual file systems."""
    return bool(re.match(r"(https?|s3|gs|az|ftp)://|/vsi", source))


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
        self._stack.enter_context(rasterio.Env(**(REMOTE if is_remote(source) else {})))
        self.dataset = self._open()
        try:
            self.bands = self._choose_bands(bands)
            self.palette = self._palette()
        except RasterError:
            self._stack.close()
            raise
        self.badges: list[str] = []
        self.transform, self.crs = self._georeference()
        self.pixel_m = self._pixel_metres()

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
        import warnings  # noqa: PLC0415

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                dataset = self._stack.enter_context(rasterio.open(self.source))
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
        seen = [band for band, kind in enumerate(declared, start=1) if kind != ColorInterp.alpha]
        return tuple(seen[:3]) if len(seen) >= 3 else tuple(seen[:1])

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

    def _georeference(self) -> tuple[Transform, str | None]:
        """Affine transform and CRS as WKT2; GCPs are replaced by the affine that fits them best."""
        import rasterio  # noqa: PLC0415

        affine, crs = self.dataset.transform, self.dataset.crs
        points, points_crs = self.dataset.gcps
        if points and affine.is_identity:
            affine, crs = rasterio.transform.from_gcps(points), points_crs
            self.badges.append("placed by ground control points")
        if not crs:
            self.badges.append("no CRS")
        if affine.b or affine.d:
            self.badges.append("rotated")
        wkt = crs.to_wkt(version="WKT2_2019") if crs else None
        return (affine.a, affine.b, affine.c, affine.d, affine.e, affine.f), wkt

    def _pixel_metres(self) -> tuple[float, float] | None:
        """Size of the middle pixel along its row and its column, m."""
        scale = self._unit_metres()
        if scale is None:
            return None
        a, b, _, d, e, _ = self.transform
        along_x, along_y = scale
        return math.hypot(a * along_x, d * along_y), math.hypot(b * along_x, e * along_y)

    def _unit_metres(self) -> tuple[float, float] | None:
        """Metres per map unit, eastwards and northwards, at the raster's centre."""
        from rasterio.crs import CRS  # noqa: PLC0415

        if self.crs is None:
            return None
        crs = CRS.from_wkt(self.crs)
        _, _, _, d, e, f = self.transform
        y = d * self.width / 2 + e * self.height / 2 + f
        if crs.is_geographic:
            radius = ellipsoid_radius(self.crs)
            degree = math.radians(1) * radius
            return max(degree * math.cos(math.radians(y)), 1e-6), degree
        if "Pseudo-Mercator" in self.crs or "Pseudo Mercator" in self.crs:
            shrink = 1 / math.cosh(y / ellipsoid_radius(self.crs))  # web maps stretch by 1 / cos(latitude)
            return shrink, shrink
        unit = crs.linear_units_factor[1] if crs.is_projected else 1.0
        return unit, unit

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
            low, high = (float(v) for v in np.percentile(values, (2, 98))) if len(values) else (0.0, 1.0)
            if data.dtype == np.uint8 and (high == low or high - low >= PHOTO_RANGE):
                low, high = 0.0, 255.0
            ranges.append((low, high if high > low else low + 1.0))
        return tuple(ranges)

    def _sample(self) -> tuple[npt.NDArray[Any], Valid]:
        """Raw bands (bands, h, w) and validity (h, w) that stand for the whole raster."""
        factor = max(1, -(-max(self.width, self.height) // PREVIEW_PX))
        whole = Window(0, 0, self.width, self.height)
        if factor <= 8 or self.dataset.overviews(self.bands[0]):
            return self.raw(whole, factor)
        side = PREVIEW_PX // SAMPLES
        parts = []
        for row in range(SAMPLES):
            for col in range(SAMPLES):
                x = (self.width - side) * col // (SAMPLES - 1)
                y = (self.height - side) * row // (SAMPLES - 1)
                parts.append(self.raw(Window(x, y, min(side, self.width), min(side, self.height))))
        data = np.concatenate([part.reshape(len(self.bands), -1) for part, _ in parts], axis=1)
        valid = np.concatenate([mask.reshape(-1) for _, mask in parts])
        return (data, valid) if valid.any() else self.raw(whole, factor)

    def raw(self, place: Window, factor: int = 1) -> tuple[npt.NDArray[Any], Valid]:
        """Bands (bands, h, w) as stored and validity (h, w), decimated by `factor` through overviews.

        Raises RasterError when blocks cannot be read.
        """
        from rasterio.enums import MaskFlags, Resampling  # noqa: PLC0415
        from rasterio.errors import RasterioError  # noqa: PLC0415
        from rasterio.windows import Window as GdalWindow  # noqa: PLC0415

        shape = (-(-place.height // factor), -(-place.width // factor))
        how = {"window": GdalWindow(place.x, place.y, place.width, place.height), "out_shape": shape}
        smooth = Resampling.average if factor > 1 and self.palette is None else Resampling.nearest
        flags = self.dataset.mask_flag_enums[self.bands[0] - 1]
        try:
            data = self.dataset.read(list(self.bands), resampling=smooth, **how)
            masked = MaskFlags.per_dataset in flags or MaskFlags.alpha in flags
            mask = self.dataset.read_masks(self.bands[0], **how) if masked else None
        except RasterioError as error:
            raise RasterError(
                f"A part of {self.source} cannot be read: {error}", "The file may be damaged or cut short."
            ) from error
        valid = np.ones(shape, dtype=bool) if mask is None else mask > 0
        return data, valid & self._holds_data(data)

    def _holds_data(self, data: npt.NDArray[Any]) -> Valid:
        """(bands, h, w) -> (h, w): finite, and in at least one band other than nodata."""
        valid = np.ones(data.shape[1:], dtype=bool)
        if data.dtype.kind == "f":
            valid &= np.isfinite(data).all(axis=0)
        gaps = [self.dataset.nodatavals[band - 1] for band in self.bands]
        if all(gap is not None and not math.isnan(gap) for gap in gaps):
            valid &= np.logical_or.reduce([band != gap for band, gap in zip(data, gaps, strict=True)])
        return np.asarray(valid, dtype=np.bool_)

    def rgb(self, place: Window, stretch: Stretch, factor: int = 1) -> tuple[U8, Valid]:
        """(h, w, 3) uint8 and validity (h, w) of a window; invalid pixels are black. Raises RasterError."""
        data, valid = self.raw(place, factor)
        if self.palette is not None:
            picture = self.palette[data[0].astype(np.uint8)]
        else:
            picture = np.stack(
                [stretched(band, *limits) for band, limits in zip(data, stretch, strict=True)], -1
            )
        if picture.shape[-1] == 1:
            picture = np.repeat(picture, 3, axis=-1)
        if not valid.all():
            picture[~valid] = 0
        return picture, valid

    def read_tiles(self, windows: Sequence[Window], size_px: int, stretch: Stretch | None = None) -> U8:
        """Windows -> (n, size_px, size_px, 3) RGB, for thumbnails and rerankers. Raises RasterError."""
        from rasterio.enums import Resampling  # noqa: PLC0415

        limits = stretch or self.stretch()
        tiles = np.zeros((len(windows), size_px, size_px, 3), dtype=np.uint8)
        for tile, place in zip(tiles, windows, strict=True):
            picture, _ = self.rgb(place, limits, max(1, min(place.width, place.height) // size_px))
            tile[:] = resized(picture, size_px, Resampling.bilinear)
        return tiles

    def holds_blocks(self, place: Window) -> bool:
        """False when a sparse GeoTIFF stores nothing in this window: it need not be read at all."""
        from rasterio.errors import RasterBlockError  # noqa: PLC0415

        if self.dataset.driver != "GTiff":
            return True
        block_h, block_w = self.dataset.block_shapes[self.bands[0] - 1]
        for row in range(place.y // block_h, -(-(place.y + place.height) // block_h)):
            for col in range(place.x // block_w, -(-(place.x + place.width) // block_w)):
                try:
                    self.dataset.block_size(self.bands[0], row, col)
                except RasterBlockError:
                    continue
                return True
        return False


def stretched(band: npt.NDArray[Any], low: float, high: float) -> U8:
    """(h, w) of any type -> uint8, `low` to 0 and `high` to 255; NaN becomes 0."""
    if band.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return np.asarray(band, dtype=np.uint8)
    scaled = (band.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    return np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255).astype(np.uint8)


def resized(picture: U8, size: int, how: Any) -> U8:
    """(h, w, 3) -> (size, size, 3) through an in-memory GDAL dataset."""
    from rasterio.io import MemoryFile  # noqa: PLC0415

    height, width, _ = picture.shape
    if (height, width) == (size, size):
        return picture
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8"}
    import warnings  # noqa: PLC0415

    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore")
        with memory.open(**profile) as file:
            file.write(picture.transpose(2, 0, 1))
        with memory.open() as file:
            return np.asarray(file.read(out_shape=(3, size, size), resampling=how).transpose(1, 2, 0))


def ellipsoid_radius(wkt: str) -> float:
    """Semi-major axis in a CRS's WKT, m; the Earth's when it names none."""
    found = re.search(r'(?:ELLIPSOID|SPHEROID)\["[^"]*",\s*([\d.eE+]+)', wkt)
    return float(found[1]) if found else 6_378_137.0
