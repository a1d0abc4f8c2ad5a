"""Pixels that stand for a whole raster, and the stretch that is taken from them: once, never tile by tile."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.contracts.arrays import Bool
from rs_text_search_plugin.contracts.errors import RasterError
from rs_text_search_plugin.contracts.messages import Window

if TYPE_CHECKING:
    from .reader import Raster

Stretch = tuple[tuple[float, float], ...]
"""(low, high) of each band: the values shown as 0 and 255."""
PREVIEW_PX = 1024
"""Longer side of the decimated read that the stretch is taken from."""
SAMPLED_BLOCKS = 64
"""Without overviews a large raster is sampled in so many of its blocks instead."""
SAMPLED_BLOCK_PX = 256
"""Of a large block only so much is taken, rows and columns, somewhere in it."""
LISTED_BLOCKS = 200_000
"""Of a raster with more blocks, places are drawn until enough are stored, instead of listing all that are."""
DRAWN_BLOCKS = 1_000_000
"""So many are tried in a sparse raster; that takes seconds."""
MAX_WHOLE_PX = 4_000_000_000
"""More pixels without overviews are not read just to find their range."""
PHOTO_RANGE = 64
"""8-bit bands whose 2-98 % range spans as much are shown as they are, as QGIS shows photographs."""


def stretch_of(raster: Raster) -> Stretch:
    """2-98 % of each band's valid pixels; 8-bit photographs keep (0, 255), as QGIS draws them.

    Raises RasterError when no pixel is valid.
    """
    if raster.palette is not None:
        return ((0.0, 255.0),)
    data, valid = _sample(raster)
    if not valid.any():
        raise RasterError(f"{raster.source} has no valid pixel.", "Check its nodata value and its mask.")
    ranges = [_range(band[valid & np.isfinite(band)]) for band in data]
    spread = max(high - low for low, high in ranges)
    if data.dtype == np.uint8 and (spread == 0 or spread >= PHOTO_RANGE):
        return ((0.0, 255.0),) * len(ranges)  # all bands alike, or colours would shift
    return tuple((low, high if high > low else low + 1.0) for low, high in ranges)


def _range(values: npt.NDArray[Any]) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    low, high = np.percentile(values, (2, 98))
    return float(low), float(high)


def _sample(raster: Raster) -> tuple[npt.NDArray[Any], Bool]:
    """Raw bands (bands, h, w) and validity (h, w) that stand for the whole raster."""
    factor = max(1, -(-max(raster.width, raster.height) // PREVIEW_PX))
    whole = Window(0, 0, raster.width, raster.height)
    shape = (-(-raster.height // factor), -(-raster.width // factor))
    if factor <= 2 or raster.dataset.overviews(raster.bands[0]):
        with suppress(RasterError):  # a block is damaged: those that are not will do
            return raster.raw(whole, shape)
    data, valid = _scattered(raster)
    if valid.any():
        return data, valid
    if raster.width * raster.height > MAX_WHOLE_PX:
        raise RasterError(
            f"No valid pixel was found at {SAMPLED_BLOCKS} places of {raster.source}, which is very large.",
            "Build overviews for it (gdaladdo), or cut out the part that holds pixels.",
        )
    return raster.raw(whole, shape)


def _scattered(raster: Raster) -> tuple[npt.NDArray[Any], Bool]:
    """Raw (bands, 1, n) and validity (1, n) of pixels from up to SAMPLED_BLOCKS blocks that hold any."""
    draw = np.random.default_rng(0)
    chosen = sorted(_stored_blocks(raster, draw))
    data, valid = [], []
    for row, col in chosen:
        with suppress(RasterError):
            pixels, mask = raster.raw(_somewhere_in(raster, row, col, draw))
            data.append(pixels.reshape(len(raster.bands), -1))
            valid.append(mask.ravel())
    if not data:
        return np.zeros((len(raster.bands), 1, 0), np.uint8), np.zeros((1, 0), dtype=bool)
    return np.concatenate(data, axis=1)[:, None], np.concatenate(valid)[None]


def _somewhere_in(raster: Raster, row: int, col: int, draw: np.random.Generator) -> Window:
    block_h, block_w = raster.block_shape
    x, y = col * block_w, row * block_h
    held_w, held_h = min(block_w, raster.width - x), min(block_h, raster.height - y)
    width, height = min(held_w, SAMPLED_BLOCK_PX), min(held_h, SAMPLED_BLOCK_PX)
    x, y = x + int(draw.integers(held_w - width + 1)), y + int(draw.integers(held_h - height + 1))
    return Window(x, y, width, height)


def _stored_blocks(raster: Raster, draw: np.random.Generator) -> list[tuple[int, int]]:
    """Row and column of up to SAMPLED_BLOCKS blocks that are stored, drawn at random."""
    block_h, block_w = raster.block_shape
    cols = -(-raster.width // block_w)
    count = -(-raster.height // block_h) * cols
    if count <= LISTED_BLOCKS:
        stored = [place for place in (divmod(i, cols) for i in range(count)) if raster.stores(*place)]
        return [stored[i] for i in draw.permutation(len(stored))[:SAMPLED_BLOCKS].tolist()]
    found = []
    for place in (divmod(i, cols) for i in _scattered_numbers(count)):
        if raster.stores(*place):
            found.append(place)
        if len(found) == SAMPLED_BLOCKS:
            break
    return found


def _scattered_numbers(count: int) -> Iterator[int]:
    """Up to DRAWN_BLOCKS different numbers below `count`, spread evenly from the first on (golden ratio)."""
    step = round(count * 0.6180339887)
    while math.gcd(step, count) != 1:
        step += 1
    yield from (i * step % count for i in range(min(count, DRAWN_BLOCKS)))
