"""Small rasters of every kind, drawn on the spot, and a way to damage them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin

from tests.engine.fakes import PALETTE

UTM = "EPSG:32631"
PLACE = from_origin(500_000, 5_000_000, 0.5, 0.5)
SQUARE = 32


def painted(height: int = 256, width: int = 256, seed: int = 0) -> np.ndarray:
    """(3, height, width) uint8: squares of SQUARE px in colours that the stand-in encoder can name, and noise."""
    rng = np.random.default_rng(seed)
    rows, cols = -(-height // SQUARE), -(-width // SQUARE)
    colours = np.array(list(PALETTE.values()))[rng.integers(0, len(PALETTE), (rows, cols))]
    picture = np.kron(colours, np.ones((SQUARE, SQUARE, 1), dtype=int))[:height, :width]
    picture = picture + rng.integers(-9, 10, picture.shape)
    return picture.clip(0, 255).astype(np.uint8).transpose(2, 0, 1)


def write(
    path: Path,
    data: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    colours: tuple[Any, ...] | None = None,
    palette: dict[int, tuple[int, ...]] | None = None,
    **kind: Any,
) -> Path:
    """A GeoTIFF of (bands, h, w); 0.5 m in UTM unless `kind` says otherwise."""
    bands, height, width = data.shape
    layout = {"driver": "GTiff", "count": bands, "dtype": data.dtype, "crs": UTM, "transform": PLACE} | kind
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", width=width, height=height, **layout) as file:
            if colours:
                file.colorinterp = colours
            if palette:
                file.write_colormap(1, palette)
            file.write(data)
            if mask is not None:
                file.write_mask(mask)
    return path


def write_tiled(path: Path, data: np.ndarray, block: int = 64, **kind: Any) -> Path:
    """The same in deflated blocks of block x block px."""
    tiles = {"tiled": True, "blockxsize": block, "blockysize": block, "interleave": "pixel"}
    return write(path, data, compress="deflate", **tiles, **kind)


def spoil_block(path: Path, row: int, col: int) -> None:
    """Overwrite one block of a compressed GeoTIFF with bytes that cannot be decoded."""
    with rasterio.open(path) as file:
        offset, size = (
            int(file.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE")
        )
    with path.open("r+b") as raw:
        raw.seek(offset)
        raw.write(b"\xff" * size)
