"""A large made-up photograph on disk, written in bands so that any size fits into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

BAND = 1024
LAYOUTS: dict[str, dict[str, Any]] = {
    "tiled 512, deflate": {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"},
    "strips, deflate": {"compress": "deflate", "blockysize": 16},
    "strips, plain": {},
}


def write_photo(path: Path, width: int, height: int, layout: str = "tiled 512, deflate") -> Path:
    """An RGB uint8 GeoTIFF of smooth patches and fine noise, which compresses about as well as a photograph."""
    rng = np.random.default_rng(0)
    kind = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": "EPSG:32631", "interleave": "pixel"}
    place = {"transform": from_origin(500_000, 5_000_000, 0.3, 0.3), "BIGTIFF": "IF_SAFER"}
    with rasterio.open(path, "w", width=width, height=height, **kind, **place, **LAYOUTS[layout]) as file:
        for top in range(0, height, BAND):
            rows = min(BAND, height - top)
            patches = rng.integers(0, 240, (3, -(-rows // 16), -(-width // 16)), dtype=np.uint8)
            pixels = patches.repeat(16, 1).repeat(16, 2)[:, :rows, :width]
            noise = rng.integers(0, 16, (rows, width), dtype=np.uint8)
            file.write(pixels + noise, window=Window(0, top, width, rows))
    return path
