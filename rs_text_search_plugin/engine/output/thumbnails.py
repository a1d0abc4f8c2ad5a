"""Small images of tiles, as PNG files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from rs_text_search_plugin.contracts.arrays import U8
from rs_text_search_plugin.contracts.messages import Window
from rs_text_search_plugin.engine.index.store import Index
from rs_text_search_plugin.engine.raster.reader import open_indexed


def thumbnails(index: Index, ids: Sequence[int], size: int, folder: Path) -> list[Path]:
    """One PNG of size x size px a tile, read from the raster unless `folder` has it.

    Raises RasterError, and IndexStoreError for a tile that the index does not hold.
    """
    paths = [folder / f"{tile}-{size}.png" for tile in ids]
    missing = [i for i, path in enumerate(paths) if not path.exists()]
    if missing:
        windows = [Window(*map(int, index.windows[index.position(ids[i])])) for i in missing]
        with open_indexed(index.meta.source, index.meta.bands) as raster:
            for i, tile in zip(missing, raster.read_tiles(windows, size, index.meta.stretch), strict=True):
                write_png(paths[i], tile)
    return paths


def write_png(path: Path, image: U8) -> None:
    """(h, w, 3) RGB uint8 as a PNG file."""
    import rasterio  # noqa: PLC0415 - GDAL loads slowly, `--help` does not need it
    from rasterio.errors import NotGeoreferencedWarning  # noqa: PLC0415

    height, width, bands = image.shape
    shape = {"width": width, "height": height, "count": bands, "dtype": "uint8"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="PNG", **shape) as file:
            file.write(image.transpose(2, 0, 1))
