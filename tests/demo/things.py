"""The things of the demo scene from above, at true size (m): trees, houses, tanks, aircraft, boats, cars."""

from __future__ import annotations

from functools import cache
from math import atan2, degrees, hypot

import numpy as np

from tests.demo.paint import GSD, SHADOW, Canvas, Colour, Frame, Point, blur

Rng = np.random.Generator

ASPHALT = (0.33, 0.33, 0.34)
CONCRETE = (0.62, 0.61, 0.58)
WHITE = (0.9, 0.9, 0.88)
GRASS = (0.29, 0.36, 0.20)
ROOFS = [
    (0.52, 0.33, 0.26),
    (0.46, 0.31, 0.26),
    (0.42, 0.38, 0.35),
    (0.58, 0.42, 0.34),
    (0.36, 0.34, 0.34),
    (0.55, 0.5, 0.46),
]
CARS = [
    (0.86, 0.86, 0.86),
    (0.86, 0.86, 0.86),
    (0.1, 0.1, 0.11),
    (0.12, 0.13, 0.15),
    (0.5, 0.52, 0.54),
    (0.55, 0.12, 0.1),
    (0.15, 0.2, 0.4),
]
CROWNS = [(0.20, 0.28, 0.13), (0.17, 0.26, 0.13), (0.24, 0.31, 0.15), (0.16, 0.23, 0.12)]


def pick(rng: Rng, colours: list[Colour], spread: float = 0.06) -> Colour:
    """One of some colours, a little lighter or darker."""
    return tuple(np.asarray(colours[rng.integers(len(colours))]) * (1 + spread * rng.standard_normal()))


@cache
def crown(radius_px: int, variant: int) -> tuple[np.ndarray, np.ndarray]:
    """A lumpy tree crown lit by the sun, as light (h, w) around 1 and coverage (h, w)."""
    rng = np.random.default_rng(1000 * radius_px + variant)
    reach = np.arange(-radius_px - 2, radius_px + 3, dtype=np.float32)
    x, y = np.meshgrid(reach, reach)
    lumps = blur(rng.standard_normal(x.shape).astype(np.float32), 2)
    lumps /= lumps.std()
    distance = np.hypot(x, y) / radius_px + 0.10 * lumps
    dome = radius_px * np.sqrt((1 - distance**2).clip(0)) + 0.35 * lumps
    slope_y, slope_x = np.gradient(dome)
    light = 1 + 0.32 * (-slope_x * 0.5 - slope_y * 0.8) * -1
    return light.clip(0.35, 1.7), ((1 - distance) * radius_px).clip(0, 1)


def tree(
    canvas: Canvas, rng: Rng, at: Point, radius: float, colour: Colour | None = None, cast: bool = True
) -> None:
    """A broad-leaved tree; without `cast` its shadow falls among others and is not drawn."""
    light, cover = crown(max(round(radius / GSD), 2), int(rng.integers(12)))
    green = np.asarray(colour or pick(rng, CROWNS, 0.12), np.float32)
    if cast:
        reach = radius * 1.3
        canvas.shade(
            canvas.line([at, (at[0] + SHADOW[0] * reach, at[1] + SHADOW[1] * reach)], 1.7 * radius), 0.85
        )
    canvas.sprite(at, light[..., None] * green, cover)


def house(canvas: Canvas, rng: Rng, frame: Frame, length: float, width: float) -> None:
    """A gabled house around the origin of its frame."""
    a, b = length / 2, width / 2
    canvas.shadow(frame.box(-a, -b, a, b), 6.0)
    roof = np.asarray(pick(rng, ROOFS))
    sunny = frame.cos * 0.85 - frame.sin * 0.5  # the side at +v looks south when the frame is not turned
    canvas.paint(canvas.polygon(frame.box(-a, -b, a, 0)), roof * (1 - 0.28 * sunny), 0.05)
    canvas.paint(canvas.polygon(frame.box(-a, 0, a, b)), roof * (1 + 0.28 * sunny), 0.05)
    canvas.paint(canvas.line([frame.at(-a, 0), frame.at(a, 0)], 0.4), roof * 1.25)
    chimney = frame.at(rng.uniform(-a, a) * 0.6, -0.2 * b)
    canvas.paint(canvas.disc(chimney, 0.7), roof * 0.6)


def shed(
    canvas: Canvas, frame: Frame, length: float, width: float, colour: Colour, height: float = 9.0
) -> None:
    """A flat hall with seams, roof lights and a parapet."""
    a, b = length / 2, width / 2
    canvas.shadow(frame.box(-a, -b, a, b), height)
    canvas.paint(canvas.polygon(frame.box(-a, -b, a, b)), np.asarray(colour) * 0.8, 0.02)
    canvas.paint(canvas.polygon(frame.box(1 - a, 1 - b, a - 1, b - 1)), colour, 0.02, 0.05)
    for u in np.arange(-a + 5, a - 3, 6.0):
        canvas.paint(canvas.line([frame.at(u, 1 - b), frame.at(u, b - 1)], 0.25), np.asarray(colour) * 0.85)
    for u in np.arange(-a + 8, a - 6, 12.0):
        canvas.paint(canvas.polygon(frame.box(u, -b * 0.6, u + 2, b * 0.6)), np.asarray(colour) * 0.72 + 0.05)


def car(canvas: Canvas, rng: Rng, frame: Frame) -> None:
    """A parked car, nose along u."""
    paint = np.asarray(pick(rng, CARS))
    body = frame.box(-2.2, -0.9, 2.2, 0.9)
    canvas.shadow(body, 1.5)
    canvas.paint(canvas.polygon(body), paint)
    canvas.paint(canvas.polygon(frame.box(0.3, -0.7, 1.1, 0.7)), paint * 0.35 + 0.04)
    canvas.paint(canvas.polygon(frame.box(-1.9, -0.7, -1.3, 0.7)), paint * 0.35 + 0.04)


def tank(canvas: Canvas, rng: Rng, at: Point, radius: float, height: float) -> None:
    """A storage tank: a white cone roof, its sides lit unevenly, or a floating roof sunk into its rim."""
    canvas.shade(canvas.line([at, (at[0] + SHADOW[0] * height, at[1] + SHADOW[1] * height)], 2 * radius))
    shell = np.asarray(pick(rng, [(0.86, 0.86, 0.84), (0.8, 0.81, 0.8), (0.9, 0.89, 0.86)], 0.03))
    canvas.paint(canvas.disc(at, radius), shell * 0.72)
    if rng.random() < 0.3:
        canvas.paint(canvas.disc(at, radius - 0.8), shell * 0.92, 0.02)
        canvas.shade(canvas.disc((at[0] + 1.2, at[1] + 1.9), radius - 2.2), 0.7)
        canvas.paint(canvas.disc(at, radius - 2.6), shell * 0.82, 0.02)
        return
    slices = 24
    for turn in range(slices):
        angles = np.array([turn, turn + 1.08]) * 2 * np.pi / slices
        rim = [(at[0] + (radius - 0.7) * np.cos(t), at[1] + (radius - 0.7) * np.sin(t)) for t in angles]
        towards_sun = np.cos(angles.mean() - np.arctan2(-SHADOW[1], -SHADOW[0]))
        canvas.paint(canvas.polygon([at, *rim]), shell * (1 + 0.1 * towards_sun), 0.01)
    canvas.paint(canvas.disc(at, 1.0), shell * 0.7)
    canvas.paint(canvas.line([at, (at[0] + radius, at[1] + 0.3 * radius)], 0.5), shell * 0.75)


def aircraft(canvas: Canvas, rng: Rng, frame: Frame, length: float = 38.0) -> None:
    """An airliner, nose along u."""
    unit = length / 38
    wing = [(5, 1.5), (-7.5, 17), (-10.5, 17), (-4.5, 1.5)]
    tail = [(-14.5, 1), (-18, 6.5), (-19.8, 6.5), (-18.2, 1)]
    planes = [[(u * unit, side * v * unit) for u, v in part] for part in (wing, tail) for side in (1, -1)]
    hull = [frame.at(-17 * unit, 0), frame.at(17 * unit, 0)]
    fall = 4.5 * unit
    ground = Frame(frame.x + SHADOW[0] * fall, frame.y + SHADOW[1] * fall, frame.degrees)
    for part in planes:
        canvas.shade(canvas.polygon(ground.shape(part)))
    canvas.shade(canvas.line([ground.at(-17 * unit, 0), ground.at(17 * unit, 0)], 4.2 * unit))
    livery = np.asarray(pick(rng, [(0.93, 0.93, 0.93), (0.88, 0.89, 0.9), (0.95, 0.94, 0.92)], 0.02))
    for part in planes:
        canvas.paint(canvas.polygon(frame.shape(part)), livery * 0.9, 0.01)
    for side in (1, -1):
        engine = [frame.at(3 * unit, side * 6 * unit), frame.at(-1 * unit, side * 6 * unit)]
        canvas.paint(canvas.line(engine, 2.2 * unit), livery * 0.7)
    canvas.paint(canvas.line(hull, 4.2 * unit), livery * 0.86, 0.01)
    canvas.paint(canvas.line(hull, 2.6 * unit), livery * 1.02, 0.01)
    fin = pick(rng, [(0.6, 0.12, 0.12), (0.12, 0.2, 0.5), (0.2, 0.45, 0.6), (0.85, 0.6, 0.1)])
    canvas.paint(canvas.line([frame.at(-18.5 * unit, 0), frame.at(-13 * unit, 0)], 0.9), fin)


def boat(canvas: Canvas, rng: Rng, frame: Frame, length: float) -> None:
    """A boat, bow along u."""
    a, b = length / 2, length / 6.5
    hull = frame.shape([(a, 0), (a * 0.45, b), (-a, b * 0.9), (-a, -b * 0.9), (a * 0.45, -b)])
    canvas.shadow(hull, 1.2, 0.7)
    canvas.paint(
        canvas.polygon(hull), pick(rng, [WHITE, WHITE, (0.8, 0.82, 0.84), (0.72, 0.68, 0.6)], 0.04), 0.02
    )
    deck = pick(rng, [(0.55, 0.48, 0.38), (0.35, 0.4, 0.48), (0.7, 0.7, 0.7), (0.25, 0.3, 0.4)])
    canvas.paint(canvas.polygon(frame.box(-0.75 * a, -0.6 * b, -0.1 * a, 0.6 * b)), deck)


def ship(canvas: Canvas, rng: Rng, frame: Frame, length: float) -> None:
    """A cargo ship, bow along u, with hatches and a bridge aft."""
    a, b = length / 2, length / 12
    hull = frame.shape([(a, 0), (a * 0.8, b), (-a, b), (-a, -b), (a * 0.8, -b)])
    canvas.shadow(hull, 7.0)
    canvas.paint(canvas.polygon(hull), pick(rng, [(0.45, 0.22, 0.18), (0.3, 0.35, 0.42), (0.4, 0.4, 0.4)]))
    for u in np.linspace(-0.55 * a, 0.6 * a, 5):
        canvas.paint(
            canvas.polygon(frame.box(u, -0.7 * b, u + 0.2 * a, 0.7 * b)),
            pick(rng, [CONCRETE, (0.5, 0.4, 0.3), (0.4, 0.5, 0.5)]),
        )
    canvas.shadow(frame.box(-0.95 * a, -0.8 * b, -0.7 * a, 0.8 * b), 8.0)
    canvas.paint(canvas.polygon(frame.box(-0.95 * a, -0.8 * b, -0.7 * a, 0.8 * b)), WHITE)


def road(
    canvas: Canvas, points: list[Point], width: float, colour: Colour = ASPHALT, dashes: bool = True
) -> None:
    """A paved road with kerbs and, from 9 m width on, a dashed centre line."""
    canvas.paint(canvas.line(points, width + 3), (0.5, 0.49, 0.46), 0.03, 0.05)
    canvas.paint(canvas.line(points, width), colour, 0.03, 0.04)
    if dashes and width >= 9:
        for start, end in zip(points, points[1:]):
            dashed(canvas, start, end, 0.4)


def dashed(canvas: Canvas, start: Point, end: Point, width: float, on: float = 4.0, off: float = 6.0) -> None:
    """White dashes from one point to another, `on` and `off` in m."""
    length = hypot(end[0] - start[0], end[1] - start[1])
    frame = Frame(*start, degrees(atan2(end[1] - start[1], end[0] - start[0])))
    for u in np.arange(0, length - on, on + off):
        canvas.paint(canvas.line([frame.at(u, 0), frame.at(u + on, 0)], width), (0.82, 0.82, 0.8))
