"""An index made of given vectors instead of a raster's tiles: what search needs of `store.Index`, no file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from rs_text_search_plugin.contracts.errors import IndexMismatch
from rs_text_search_plugin.engine.index.grid import Lattice, lattice
from rs_text_search_plugin.engine.index.levels import Levels

UTM = "EPSG:32633"


@dataclass(eq=False)
class SyntheticIndex:
    """Tiles of `lattice` with ids `ids` (all by default) and unit vectors, row for row."""

    vectors: np.ndarray
    lattice: Lattice
    ids: np.ndarray = None
    folder: Path = Path("/nowhere/scene.tif.rsidx")
    fingerprint: str = "f" * 64
    crs: str | None = UTM
    transform: tuple[float, ...] = (0.5, 0, 500_000, 0, -0.5, 5_000_000)
    source: str = "/nowhere/scene.tif"
    stamp: str = "parts"
    gsd_m: float | None = 0.5
    levels: int = 1
    meta: SimpleNamespace = field(init=False)

    def __post_init__(self):
        self.ids = np.arange(len(self.vectors)) if self.ids is None else np.asarray(self.ids)
        self.meta = SimpleNamespace(
            source=self.source,
            crs=self.crs,
            transform=self.transform,
            lattice=self.lattice,
            dim=self.vectors.shape[1],
            fingerprint=self.fingerprint,
            model="colour",
            gsd_m=self.gsd_m,
            levels=self.levels,
            tiling=Levels(self.lattice, self.levels),
        )
        self.windows = self.meta.tiling.windows(self.ids)

    def require(self, fingerprint):
        if fingerprint != self.fingerprint:
            raise IndexMismatch("made with another model", "index again")

    def position(self, tile):
        return int(np.flatnonzero(self.ids == tile)[0])

    def corners(self, positions):
        a, b, c, d, e, f = self.transform
        x, y, w, h = self.windows[positions].astype(float).T
        px, py = np.stack([x, x + w, x + w, x], axis=1), np.stack([y, y, y + h, y + h], axis=1)
        return np.stack([a * px + b * py + c, d * px + e * py + f], axis=2)


def checkerless(rows, cols, size=256, overlap=0.0):
    """A lattice of exactly rows x cols tiles."""
    step = round(size * (1 - overlap))
    return lattice((cols - 1) * step + size, (rows - 1) * step + size, size, size, overlap)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
