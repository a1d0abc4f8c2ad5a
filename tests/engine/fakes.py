"""A stand-in for a trained encoder that sees colours only, and a raster to see them in."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from rs_text_search_plugin.contracts.arrays import F32, U8

PALETTE: dict[str, tuple[int, int, int]] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "red": (220, 30, 30),
    "green": (30, 150, 30),
    "blue": (30, 60, 220),
    "yellow": (240, 230, 40),
    "orange": (250, 140, 20),
    "brown": (120, 75, 30),
    "purple": (130, 30, 140),
    "cyan": (40, 220, 220),
    "pink": (250, 160, 200),
}
WORDS = list(PALETTE)
DIM = 16
GREY_PART = len(WORDS)
"""The dimension every vector has a little of, as trained encoders' do; the last three: unknown words."""


def unit(rows: F32) -> F32:
    """Rows scaled to length one."""
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@dataclass
class ColourEncoder:
    """Tile -> how much of each palette colour it holds; text -> the colours it names, in unit vectors.

    `slow` seconds pass for every batch, `noise` is printed on every call, `batches` counts the tiles of each.
    """

    name: str = "colour"
    dim: int = DIM
    size: int = 16
    device: str = "cpu"
    batch: int = 16
    slow: float = 0.0
    noise: str = ""
    batches: list[int] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.name} {self.size}".encode()).hexdigest()

    def images(self, tiles: U8) -> F32:
        """(n, h, w, 3) uint8 -> (n, 16) unit length."""
        time.sleep(self.slow)
        self._say()
        self.batches.append(len(tiles))
        out = np.zeros((len(tiles), self.dim), dtype=np.float32)
        out[:, : len(WORDS)] = [self._shares(tile) for tile in tiles]
        out[:, GREY_PART] = 0.2
        return unit(out)

    def texts(self, texts: list[str]) -> F32:
        """n texts -> (n, 16) unit length; words outside the palette point where no tile ever does."""
        self._say()
        return unit(np.stack([self._text(text) for text in texts]))

    def _shares(self, tile: U8) -> F32:
        step = [max(1, side // 32) for side in tile.shape[:2]]
        pixels = tile[:: step[0], :: step[1]].reshape(-1, 1, 3).astype(np.int32)
        colours = np.array(list(PALETTE.values()), dtype=np.int32)  # (12, 3)
        nearest = ((pixels - colours) ** 2).sum(axis=2).argmin(axis=1)
        return (np.bincount(nearest, minlength=len(WORDS)) / len(nearest)).astype(np.float32)

    def _text(self, text: str) -> F32:
        out = np.zeros(self.dim, dtype=np.float32)
        for word in re.findall(r"[a-z]+", text.lower()):
            if word in PALETTE:
                out[WORDS.index(word)] += 1
        if not out.any():
            digest = hashlib.sha256(text.encode()).digest()
            out[GREY_PART + 1 :] = [digest[i] + 1 for i in range(3)]
        out[GREY_PART] = 0.2 * np.linalg.norm(out)
        return out

    def _say(self) -> None:
        if self.noise:
            print(self.noise)


@dataclass
class RednessReranker:
    """Believes a tile the more the redder it is, whatever the text; `seen` are the (count, side) of each call."""

    name: str = "redness"
    device: str = "cpu"
    batch: int = 16
    seen: list[tuple[int, int]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def pairs(self, text: str, tiles: U8) -> F32:
        """(n, h, w, 3) uint8 -> (n,) in 0-1."""
        self.seen.append((len(tiles), tiles.shape[1]))
        self.asked.append(text)
        red = tiles[..., 0].astype(np.float32) - tiles[..., 1:].mean(axis=-1)
        return np.asarray(red.mean(axis=(1, 2)).clip(0, 255) / 255, dtype=np.float32)


def write_scene(path: Path, side: int = 256, square: int = 32) -> Path:
    """A GeoTIFF of squares, mostly green, with a little noise; 0.5 m, EPSG:32631, origin (500000, 5000000).

    The square at column 2, row 1 is red, those at columns 5-6, row 4 are blue, the lower right one is white.
    """
    squares = np.full((side // square, side // square, 3), PALETTE["green"], dtype=np.uint8)
    squares[1, 2] = PALETTE["red"]
    squares[4, 5:7] = PALETTE["blue"]
    squares[-1, -1] = PALETTE["white"]
    pixels = np.kron(squares, np.ones((square, square, 1), dtype=np.uint8)).astype(np.int16)
    pixels += np.random.default_rng(0).integers(-9, 10, pixels.shape, dtype=np.int16)
    layout = {"width": side, "height": side, "count": 3, "dtype": "uint8", "crs": "EPSG:32631"}
    grid = from_origin(500_000, 5_000_000, 0.5, 0.5)
    with rasterio.open(path, "w", "GTiff", transform=grid, **layout) as file:
        file.write(pixels.clip(0, 255).astype(np.uint8).transpose(2, 0, 1))
    return path
