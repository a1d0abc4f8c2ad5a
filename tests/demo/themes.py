"""The land of the demo scene: each theme draws itself and returns the area (m) where its phrase is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from tests.demo import things
from tests.demo.paint import Canvas, Frame, Point
from tests.demo.things import GRASS, Rng

STREETS = Frame(952, 560, -2.86)
"""The town's grid; its v axis is the main road, its origin south of the bridge."""
RIVER = [(2110, 500), (1850, 530), (1600, 505), (1300, 530), (1000, 505), (720, 550), (480, 530), (200, 570)]
SEA = [(-50, -50), (230, -50), (290, 150), (250, 330), (290, 480), (250, 600), (300, 700), (330, 730)]
SEA += [(330, 1235), (270, 1300), (300, 1500), (240, 1750), (290, 2100), (-50, 2100)]
WATER = (0.16, 0.24, 0.27)
DEEP_GREENS = [(0.15, 0.26, 0.15), (0.13, 0.24, 0.14), (0.18, 0.29, 0.17), (0.12, 0.22, 0.14)]
SOIL = (0.46, 0.39, 0.29)
CROPS = [
    (0.55, 0.49, 0.33),
    (0.36, 0.42, 0.22),
    (0.28, 0.36, 0.18),
    (0.47, 0.41, 0.30),
    (0.50, 0.50, 0.30),
    (0.40, 0.34, 0.26),
    (0.60, 0.54, 0.40),
]


def smooth(points: list[Point], times: int = 4) -> list[Point]:
    """Chaikin's corner cutting; the ends stay."""
    for _ in range(times):
        track = np.asarray(points)
        cut = [track[:-1] * (1 - t) + track[1:] * t for t in (0.25, 0.75)]
        points = [tuple(track[0]), *map(tuple, np.stack(cut, 1).reshape(-1, 2)), tuple(track[-1])]
    return points


def river_bed() -> BaseGeometry:
    return shapely.LineString(smooth(RIVER)).buffer(46)


def area(frame: Frame, u0: float, v0: float, u1: float, v1: float) -> BaseGeometry:
    return shapely.Polygon(frame.box(u0, v0, u1, v1))


def scatter(rng: Rng, inside: BaseGeometry, spacing: float) -> list[Point]:
    """Points of a jittered grid (m) that fall into an area, row by row from north to south."""
    left, top, right, bottom = inside.bounds
    x, y = np.meshgrid(np.arange(left, right, spacing), np.arange(top, bottom, spacing))
    x, y = (axis + rng.uniform(-0.45, 0.45, axis.shape) * spacing for axis in (x, y))
    keep = shapely.contains_xy(inside, x, y)
    return list(zip(x[keep].tolist(), y[keep].tolist()))


def ground(canvas: Canvas, rng: Rng) -> None:
    """Meadow, greener and drier by turns, with bushes."""
    everything = shapely.box(-10, -10, 2060, 2060)
    canvas.paint(canvas.area(everything), GRASS, 0.06, 0.07)
    canvas.rgb *= 1 + 0.06 * canvas.mottle[..., None] * np.array([1.0, 0.4, 0.6], np.float32)
    for at in scatter(rng, everything, 34):
        if rng.random() < 0.5:
            things.tree(canvas, rng, at, rng.uniform(1.2, 3.6))


def water(canvas: Canvas, rng: Rng) -> None:
    """The sea with its beach, and the river with trees along its banks."""
    sea = shapely.Polygon(smooth(SEA))
    river = river_bed()
    wet = sea.union(river)
    canvas.paint(canvas.area(sea.buffer(22)), (0.66, 0.60, 0.47), 0.04, 0.05)
    canvas.paint(canvas.area(river.buffer(7)), SOIL, 0.06, 0.1)
    canvas.paint(canvas.area(wet), WATER, 0.035, 0.03)
    shallow = canvas.area(sea.difference(sea.buffer(-18)))
    if shallow is not None:
        canvas.paint(replace(shallow, cover=0.35 * shallow.cover), (0.30, 0.38, 0.36), 0.02, 0.2)
    banks = river.buffer(26).difference(river.buffer(8)).difference(sea.buffer(60))
    for at in scatter(rng, banks, 9):
        if rng.random() < 0.7:
            things.tree(canvas, rng, at, rng.uniform(2, 4.5))


def farmland(canvas: Canvas, rng: Rng) -> dict[str, BaseGeometry]:
    """Two stretches of narrow plots, each crop with its furrows, tracks between them."""
    stretches = [(Frame(345, 15, 4), 560, 360), (Frame(1745, 775, -5), 310, 640)]
    for frame, width, height in stretches:
        canvas.paint(canvas.polygon(frame.box(-3, -3, width + 3, height + 3)), (0.50, 0.46, 0.36), 0.05, 0.06)
        for v in np.arange(0, height - 20, 78.0):
            plot_row(canvas, rng, frame, float(v), min(v + 75, height), width)
    return {"farmland": shapely.union_all([area(f, 0, 0, w, h) for f, w, h in stretches])}


def plot_row(canvas: Canvas, rng: Rng, frame: Frame, top: float, bottom: float, width: float) -> None:
    """A row of plots side by side; furrows run along or across."""
    u = 0.0
    while u < width - 8:
        end = min(u + rng.uniform(22, 62), width)
        stamp = canvas.polygon(frame.box(u, top, end - 1.2, bottom))
        crop = np.asarray(things.pick(rng, CROPS, 0.07), np.float32)
        along, period, depth = rng.random() < 0.8, rng.uniform(2.2, 5.5), rng.uniform(0.02, 0.09)
        if stamp is not None:
            x = (np.arange(stamp.cols.start, stamp.cols.stop) * 0.5 + canvas.x - frame.x).astype(np.float32)
            y = (np.arange(stamp.rows.start, stamp.rows.stop) * 0.5 + canvas.y - frame.y).astype(np.float32)
            across = (
                x * frame.cos + y[:, None] * frame.sin if along else y[:, None] * frame.cos - x * frame.sin
            )
            furrows = 1 + depth * np.sin(across * np.float32(2 * np.pi / period))
            canvas.paint(stamp, crop * furrows[..., None], 0.03, 0.05)
        u = end


def forest(canvas: Canvas, rng: Rng) -> dict[str, BaseGeometry]:
    """A closed canopy; crowns are laid from north to south so that each shades the next."""
    edge = [
        (1110, 40),
        (1300, -40),
        (2090, -40),
        (2090, 400),
        (1800, 390),
        (1620, 330),
        (1400, 390),
        (1150, 400),
        (1080, 250),
    ]
    wood = shapely.Polygon(smooth([*edge, edge[0]]))
    canvas.paint(canvas.area(wood), (0.07, 0.10, 0.06), 0.1, 0.1)
    for at in scatter(rng, wood, 4.6):
        size = 0.8 + 0.5 * stands(at)
        things.tree(
            canvas, rng, at, size * rng.gamma(9, 0.33), things.pick(rng, DEEP_GREENS, 0.12), cast=False
        )
    return {"forest": wood}


def stands(at: Point) -> float:
    """How old the trees of a place are, 0-1: forests are planted and felled in patches."""
    return float(0.5 + 0.5 * np.sin(at[0] / 61 + 1.3 * np.sin(at[1] / 83)) * np.sin(at[1] / 47))


def roads(canvas: Canvas) -> None:
    """The main road through the town to the airport, and what joins it."""
    at = STREETS.at
    for u0, v0, u1, v1, width in (
        (-600, -145, 690, -145, 9),
        (-600, 118, 1060, 118, 9),
        (-265, 852, 1060, 852, 9),
        (444, -145, 444, 118, 11),
        (-228, -145, -228, 118, 11),
        (345, 118, 345, 852, 9),
    ):
        things.road(canvas, [at(u0, v0), at(u1, v1)], width)
    things.road(canvas, [at(0, -620), at(0, 1010)], 13)
    things.road(canvas, [(345, 690), (345, 1560)], 9)


def town(canvas: Canvas, rng: Rng) -> dict[str, BaseGeometry]:
    """Streets with a house on every plot, hedges, trees and a few pools."""
    blocks = [(-555, 165, -15, 690), (25, 165, 330, 800)]
    for u0, v0, u1, v1 in blocks:
        rows = np.arange(v0, v1, 66.0)
        for v in rows:
            things.road(canvas, [STREETS.at(u0, v), STREETS.at(u1, v)], 6.5, (0.40, 0.40, 0.40))
        for u in np.linspace(u0, u1, 4):
            things.road(canvas, [STREETS.at(u, rows[0]), STREETS.at(u, rows[-1])], 6.5, (0.40, 0.40, 0.40))
        for v in rows[:-1]:
            for u in np.arange(u0 + 16, u1 - 14, 19.0):
                if min(abs(u - c) for c in np.linspace(u0, u1, 4)) > 13:
                    plot(canvas, rng, Frame(*STREETS.at(u, v + 16), STREETS.degrees))
                    plot(canvas, rng, Frame(*STREETS.at(u, v + 50), STREETS.degrees + 180))
    return {"houses": shapely.union_all([area(STREETS, *block) for block in blocks])}


def plot(canvas: Canvas, rng: Rng, frame: Frame) -> None:
    """A house with its drive to the street (towards -v) and its garden behind."""
    lawn = things.pick(rng, [GRASS, GRASS, (0.36, 0.36, 0.24), (0.42, 0.38, 0.29)], 0.12)
    canvas.paint(canvas.polygon(frame.box(-9, -11, 9, 16)), lawn, 0.06, 0.06)
    canvas.paint(canvas.polygon(frame.box(4, -12, 7.5, -2)), (0.55, 0.53, 0.50))
    if rng.random() < 0.6:
        things.car(canvas, rng, Frame(*frame.at(5.7, -8), frame.degrees + 90))
    for u, v in [(-9, 15), (-3, 14), (3, 15), (9, 14), (-9, 6), (-9, -9), (-5, -10), (9, -10)]:
        if rng.random() < 0.6:
            at = frame.at(u + rng.normal(), v + rng.normal())
            things.tree(canvas, rng, at, 1.4 + rng.gamma(2, 0.7))
    if rng.random() < 0.08:
        canvas.paint(canvas.polygon(frame.box(-4, 10, 4, 14)), (0.75, 0.73, 0.68))
        canvas.paint(canvas.polygon(frame.box(-3, 10.7, 3, 13.3)), (0.25, 0.58, 0.66))
    turn = 90 if rng.random() < 0.25 else 0
    things.house(
        canvas,
        rng,
        Frame(*frame.at(rng.uniform(-1, 1), 1), frame.degrees + turn),
        rng.uniform(11, 14.5),
        rng.uniform(8, 10),
    )
