"""A canvas seen from above: shapes in metres, antialiased, lit by one sun. Nothing here knows what it draws.

Coordinates are metres from the upper left corner of the whole scene, x to the east, y to the south. A canvas
shows a square view of it; what lies outside costs next to nothing. Colours are (r, g, b), 0-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, cos, floor, radians, sin

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import rasterize

F32 = npt.NDArray[np.float32]
Point = tuple[float, float]
Colour = tuple[float, float, float]

GSD = 0.5
"""Ground sample distance, m/px."""
SHADOW = (-0.55, -0.85)
"""Where the shadow of a 1 m high thing ends: the sun stands in the south-south-east, 45 degrees high."""
SHADE = np.array([0.36, 0.40, 0.50], np.float32)
"""What is left of each colour in shadow; the sky still lights it, so that blue keeps most."""


@dataclass(frozen=True)
class Stamp:
    """Part of a canvas and how much of each pixel a shape covers, 0-1."""

    rows: slice
    cols: slice
    cover: F32


class Frame:
    """A turned local grid: (u, v) metres from an origin -> scene metres."""

    def __init__(self, x: float, y: float, degrees: float = 0.0) -> None:
        self.x, self.y, self.degrees = x, y, degrees
        self.cos, self.sin = cos(radians(degrees)), sin(radians(degrees))

    def at(self, u: float, v: float) -> Point:
        return self.x + u * self.cos - v * self.sin, self.y + u * self.sin + v * self.cos

    def box(self, u0: float, v0: float, u1: float, v1: float) -> list[Point]:
        return [self.at(u0, v0), self.at(u1, v0), self.at(u1, v1), self.at(u0, v1)]

    def shape(self, points: Sequence[Point]) -> list[Point]:
        return [self.at(u, v) for u, v in points]


class Canvas:
    """An RGB picture of a square view of the scene."""

    def __init__(self, x: float, y: float, size: int, seed: int) -> None:
        self.x, self.y, self.size = x, y, size
        rng = np.random.default_rng(seed)
        self.grain = blur(rng.standard_normal((size, size), dtype=np.float32), 1)
        self.mottle = fractal(rng, size, [8, 24, 80, 260])
        self.rgb = np.zeros((size, size, 3), np.float32)

    # ---- shapes ----
    def polygon(self, points: Sequence[Point]) -> Stamp | None:
        """A convex polygon."""
        corners = np.asarray(points, np.float32)
        grid = self._grid(*corners.min(0), *corners.max(0))
        if grid is None:
            return None
        rows, cols, x, y = grid
        cover = np.full((len(y), len(x)), 1.0, np.float32)
        turn = np.sign(shapely.Polygon(points).exterior.is_ccw - 0.5)
        for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0)):
            length = np.hypot(bx - ax, by - ay) + 1e-6
            inside = turn * ((bx - ax) * (y[:, None] - ay) - (by - ay) * (x - ax)) / length
            np.minimum(cover, inside / GSD + 0.5, out=cover)
        return Stamp(rows, cols, cover.clip(0))

    def disc(self, centre: Point, radius: float) -> Stamp | None:
        return self.line([centre, centre], 2 * radius)

    def line(self, points: Sequence[Point], width: float) -> Stamp | None:
        """A polyline with round ends; `width` in m. Lines thinner than a pixel become faint."""
        track = np.asarray(points, np.float32)
        half = width / 2
        grid = self._grid(*(track.min(0) - half), *(track.max(0) + half))
        if grid is None:
            return None
        rows, cols, x, y = grid
        nearest = np.full((len(y), len(x)), np.inf, np.float32)
        for (ax, ay), (bx, by) in zip(track, track[1:]):
            dx, dy = bx - ax, by - ay
            along = ((x - ax) * dx + (y[:, None] - ay) * dy) / max(dx * dx + dy * dy, 1e-9)
            along = along.clip(0, 1)
            np.minimum(nearest, np.hypot(x - ax - along * dx, y[:, None] - ay - along * dy), out=nearest)
        return Stamp(rows, cols, ((half - nearest) / GSD + 0.5).clip(0, min(1.0, width / GSD)))

    def area(self, geometry: shapely.Geometry) -> Stamp | None:
        """Any geometry, however large or hollow; its edge is softened by one pixel."""
        grid = None if geometry.is_empty else self._grid(*geometry.bounds)
        if grid is None:
            return None
        rows, cols, x, y = grid
        transform = (GSD, 0.0, x[0] - GSD / 2, 0.0, GSD, y[0] - GSD / 2)
        cover = rasterize([geometry], (len(y), len(x)), transform=transform, dtype="uint8")
        return Stamp(rows, cols, blur(cover.astype(np.float32), 1))

    # ---- paint ----
    def paint(
        self, stamp: Stamp | None, colour: Colour | F32, grain: float = 0.03, mottle: float = 0.03
    ) -> None:
        """Covers what lies below; `grain` and `mottle` are how much colour varies per px and over m."""
        if stamp is None:
            return
        at = stamp.rows, stamp.cols
        vary = 1 + grain * self.grain[at] + mottle * self.mottle[at]
        cover = stamp.cover[..., None]
        self.rgb[at] += cover * (np.asarray(colour, np.float32) * vary[..., None] - self.rgb[at])

    def shade(self, stamp: Stamp | None, strength: float = 1.0) -> None:
        """Takes the sun away; `strength` below 1 is a thin shadow."""
        if stamp is not None:
            self.rgb[stamp.rows, stamp.cols] *= 1 - strength * stamp.cover[..., None] * (1 - SHADE)

    def shadow(self, points: Sequence[Point], height: float, strength: float = 1.0) -> None:
        """The shadow that a convex block of some height (m) throws on the ground."""
        moved = [(x + SHADOW[0] * height, y + SHADOW[1] * height) for x, y in points]
        hull = shapely.MultiPoint([*points, *moved]).convex_hull
        self.shade(self.polygon(hull.exterior.coords[:-1]), strength)

    def sprite(self, centre: Point, colour: F32, cover: F32) -> None:
        """Lays a small picture (h, w, 3) with its coverage (h, w) around a point."""
        height, width = cover.shape
        row = round((centre[1] - self.y) / GSD - height / 2)
        col = round((centre[0] - self.x) / GSD - width / 2)
        top, left = max(row, 0), max(col, 0)
        bottom, right = min(row + height, self.size), min(col + width, self.size)
        if top >= bottom or left >= right:
            return
        part = np.s_[top - row : bottom - row, left - col : right - col]
        below = self.rgb[top:bottom, left:right]
        below += cover[part][..., None] * (colour[part] - below)

    def photograph(self, seed: int) -> npt.NDArray[np.uint8]:
        """What a camera makes of it: a little blur, haze and noise. -> (3, size, size)"""
        rng = np.random.default_rng(seed)
        bands = np.empty((3, self.size, self.size), np.uint8)
        for band, haze in enumerate((0.035, 0.045, 0.055)):
            noise = rng.standard_normal((self.size, self.size), dtype=np.float32)
            light = blur(self.rgb[..., band], 1) * (1 - haze) + haze + 0.008 * noise
            bands[band] = (light.clip(0, 1) * 255).astype(np.uint8)
        return bands

    def _grid(
        self, left: float, top: float, right: float, bottom: float
    ) -> tuple[slice, slice, F32, F32] | None:
        """Pixels that a box of the scene touches, and their centres in m; None when the view misses it."""
        first_col = max(floor((left - self.x) / GSD) - 1, 0)
        first_row = max(floor((top - self.y) / GSD) - 1, 0)
        cols = slice(first_col, min(ceil((right - self.x) / GSD) + 1, self.size))
        rows = slice(first_row, min(ceil((bottom - self.y) / GSD) + 1, self.size))
        if cols.start >= cols.stop or rows.start >= rows.stop:
            return None
        x = self.x + (np.arange(cols.start, cols.stop, dtype=np.float32) + 0.5) * GSD
        y = self.y + (np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5) * GSD
        return rows, cols, x, y


def blur(field: F32, times: int) -> F32:
    """Binomial 3 x 3 smoothing; edges repeat."""
    for _ in range(times):
        padded = np.pad(field, 1, mode="edge")
        rows = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
        field = 0.25 * rows[:, :-2] + 0.5 * rows[:, 1:-1] + 0.25 * rows[:, 2:]
    return field


def fractal(rng: np.random.Generator, size: int, cells: Sequence[int]) -> F32:
    """Smooth noise of several grain sizes (px), coarser ones stronger; unit deviation. -> (size, size)"""
    total = np.zeros((size, size), np.float32)
    for cell in cells:
        knots = size // cell + 2
        at = np.arange(size, dtype=np.float32) / cell
        weight = (1 - np.abs(at[:, None] - np.arange(knots, dtype=np.float32))).clip(0)
        weight = weight * weight * (3 - 2 * weight)  # smoothstep, lest the cells show
        total += weight @ rng.standard_normal((knots, knots), dtype=np.float32) @ weight.T * cell**0.35
    return total / total.std()
