"""The sites of the demo scene: tank farm, car park, sports ground, harbour, airport, bridges."""

from __future__ import annotations

from math import atan2, degrees

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from tests.demo import things
from tests.demo.paint import Canvas, Frame
from tests.demo.themes import STREETS, area, river_bed, scatter
from tests.demo.things import ASPHALT, CONCRETE, GRASS, Rng


def tank_farm(canvas: Canvas, rng: Rng) -> dict[str, BaseGeometry]:
    """White tanks in bunds, pipes and tracks between them."""
    frame, pitch, cols, rows = Frame(385, 1310, 3), 48, 7, 6
    width, height = pitch * cols, pitch * rows
    canvas.paint(canvas.polygon(frame.box(-8, -8, width + 8, height + 8)), (0.52, 0.50, 0.44), 0.04, 0.06)
    for row in range(rows):
        for col in range(cols):
            bund(canvas, rng, Frame(*frame.at(pitch * (col + 0.5), pitch * (row + 0.5)), frame.degrees))
        pipes = [frame.at(0, pitch * row), frame.at(width, pitch * row)]
        canvas.paint(canvas.line(pipes, 2.4), (0.70, 0.69, 0.66))
    return {"storage tanks": area(frame, 0, 0, width, height)}


def bund(canvas: Canvas, rng: Rng, frame: Frame) -> None:
    """A square bund around the origin of its frame, with one large tank or four small ones."""
    floor = np.asarray(things.pick(rng, [(0.56, 0.54, 0.48), (0.50, 0.48, 0.42), GRASS]))
    canvas.paint(canvas.polygon(frame.box(-22, -22, 22, 22)), (0.62, 0.60, 0.54), 0.03, 0.03)
    canvas.paint(canvas.polygon(frame.box(-20.5, -20.5, 20.5, 20.5)), floor, 0.05, 0.06)
    canvas.paint(canvas.line([frame.at(0, 0), frame.at(0, 24)], 1.4), (0.74, 0.73, 0.70))
    if rng.random() < 0.2:
        for u, v in [(-9, -9), (9, -9), (-9, 9), (9, 9)]:
            things.tank(canvas, rng, frame.at(u, v), 6, 8)
    else:
        radius = rng.uniform(9, 15.5)
        things.tank(canvas, rng, frame.at(0, 0), radius, 0.55 * radius)


def car_park(canvas: Canvas, rng: Rng) -> dict[str, BaseGeometry]:
    """Rows of parked cars in front of a shopping hall."""
    frame = Frame(*STREETS.at(385, 165), STREETS.degrees)
    canvas.paint(canvas.polygon(frame.box(0, 0, 270, 225)), ASPHALT, 0.03, 0.06)
    for v in np.arange(8, 215, 17.5):
        for u in np.arange(8, 260, 2.8):
            canvas.paint(canvas.line([frame.at(u, v), frame.at(u, v + 10.4)], 0.2), (0.75, 0.75, 0.73))
            for stall, turn in ((2.6, 90), (7.8, 270)):
                if rng.random() < 0.66 and u < 256:
                    spot = frame.at(u + 1.4, v + stall + rng.normal() * 0.3)
                    things.car(canvas, rng, Frame(*spot, frame.degrees + turn))
        for u in np.arange(20, 260, 60):
            things.tree(canvas, rng, frame.at(u, v + 5.2), rng.uniform(1.8, 2.8))
    things.shed(canvas, Frame(*frame.at(135, 275), frame.degrees), 230, 80, (0.74, 0.74, 0.72))
    return {"car park": area(frame, 0, 0, 270, 225)}


def sports_ground(canvas: Canvas, rng: Rng) -> dict[str, BaseGeometry]:
    """Two running tracks around football pitches, and a stand."""
    grounds = [(Frame(1500, 1235, 20), 1.0), (Frame(1660, 1140, 20), 0.56), (Frame(1640, 1345, 20), 0.56)]
    for frame, scale in grounds:
        stadium(canvas, frame, scale)
    tracks = shapely.union_all([area(f, -90 * s, -48 * s, 90 * s, 48 * s) for f, s in grounds])
    stand = Frame(*grounds[0][0].at(0, -58), 20)
    things.shed(canvas, stand, 90, 14, (0.78, 0.78, 0.78), 8)
    park = shapely.Point(1570, 1235).buffer(170) - tracks.buffer(8) - area(stand, -48, -10, 48, 10)
    for at in scatter(rng, park, 24):
        things.tree(canvas, rng, at, rng.uniform(2, 4))
    return {"sports ground": tracks}


def stadium(canvas: Canvas, frame: Frame, scale: float) -> None:
    """A running track (at scale 1: 400 m, 177 x 93 m) around a striped football pitch."""
    a, b = 42 * scale, 46 * scale
    axis = [frame.at(-a, 0), frame.at(a, 0)]
    canvas.paint(
        canvas.polygon(frame.box(-2.2 * a, -1.15 * b, 2.2 * a, 1.15 * b)), np.asarray(GRASS) * 1.1, 0.04, 0.05
    )
    canvas.paint(canvas.line(axis, 2 * b), (0.60, 0.29, 0.23), 0.03, 0.05)
    lanes = 6
    for lane in range(1, lanes):
        radius = b - 9.5 * scale * lane / lanes
        canvas.paint(canvas.line(axis, 2 * radius + 0.35), (0.78, 0.62, 0.58), 0)
        canvas.paint(canvas.line(axis, 2 * radius - 0.35), (0.60, 0.29, 0.23), 0.03, 0.04)
    canvas.paint(canvas.line(axis, 2 * (b - 9.5 * scale)), (0.27, 0.41, 0.20), 0.03, 0.04)
    length, width = 50 * scale, 32 * scale
    for stripe, u in enumerate(np.linspace(-length, length, 13)[:-1]):
        green = (0.24, 0.42, 0.18) if stripe % 2 else (0.30, 0.47, 0.22)
        canvas.paint(canvas.polygon(frame.box(u, -width, u + length / 6, width)), green, 0.03)
    outline = [*frame.box(-length, -width, length, width), frame.at(-length, -width)]
    marks = [outline, [frame.at(0, -width), frame.at(0, width)]]
    for end in (-1, 1):
        depth = end * (length - 16 * scale)
        marks.append(
            [
                frame.at(end * length, -20 * scale),
                frame.at(depth, -20 * scale),
                frame.at(depth, 20 * scale),
                frame.at(end * length, 20 * scale),
            ]
        )
    marks.append(
        [frame.at(9 * scale * np.cos(t), 9 * scale * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 25)]
    )
    for mark in marks:
        canvas.paint(canvas.line(mark, 0.45), (0.88, 0.9, 0.86), 0)


def harbour(canvas: Canvas, rng: Rng) -> dict[str, BaseGeometry]:
    """A marina full of boats and a cargo quay behind two breakwaters."""
    canvas.paint(canvas.polygon([(310, 715), (362, 715), (362, 1245), (310, 1245)]), CONCRETE, 0.03, 0.05)
    for mole in (
        [(330, 718), (90, 735), (62, 800), (60, 1040)],
        [(330, 1240), (150, 1236), (96, 1180), (84, 1110)],
    ):
        canvas.paint(canvas.line(mole, 17), (0.44, 0.42, 0.38), 0.16, 0.12)
        canvas.paint(canvas.line(mole, 6), (0.64, 0.62, 0.58))
    for y in np.arange(765, 1040, 33.0):
        pier(canvas, rng, Frame(311, y, 180 + rng.normal()), 195)
    for y in (1100, 1190):
        things.ship(canvas, rng, Frame(302, y, rng.choice([-90, 90])), rng.uniform(70, 84))
    things.ship(canvas, rng, Frame(180, 1140, 200), 95)
    for v in np.arange(1070, 1240, 50):
        things.shed(
            canvas,
            Frame(343, v, 90),
            38,
            22,
            things.pick(rng, [(0.6, 0.62, 0.64), (0.45, 0.5, 0.55), (0.62, 0.42, 0.36)]),
        )
    for y in (120, 260, 420, 560, 1350, 1480, 1660, 1850):
        wake(canvas, rng, Frame(rng.uniform(80, 190), y, rng.uniform(0, 360)))
    return {"harbour": shapely.box(50, 715, 362, 1245)}


def pier(canvas: Canvas, rng: Rng, frame: Frame, length: float) -> None:
    """A floating pier with boats moored on both sides."""
    canvas.paint(canvas.line([frame.at(0, 0), frame.at(length, 0)], 2.6), (0.68, 0.66, 0.61))
    for side in (1, -1):
        u = 8.0
        while u < length:
            size = rng.uniform(8.5, 13.5)
            if rng.random() < 0.88:
                things.boat(
                    canvas, rng, Frame(*frame.at(u, side * (size / 2 + 2)), frame.degrees - side * 90), size
                )
            u += size / 3.2 + 1.3


def wake(canvas: Canvas, rng: Rng, frame: Frame) -> None:
    """A boat under way and the white water behind it."""
    for spread in (-7, 7):
        canvas.paint(canvas.line([frame.at(0, 0), frame.at(-70, spread)], 0.8), (0.5, 0.56, 0.57), 0.3)
    canvas.paint(canvas.line([frame.at(0, 0), frame.at(-55, 0)], 1.8), (0.6, 0.65, 0.65), 0.3)
    things.boat(canvas, rng, frame, 11)


def airport(canvas: Canvas, rng: Rng) -> dict[str, BaseGeometry]:
    """A runway, its taxiway, an apron with aircraft at the terminal."""
    frame = Frame(420, 1935, degrees(atan2(-100, 1560)))
    canvas.paint(canvas.polygon(frame.box(-25, -190, 1600, 80)), (0.33, 0.38, 0.23), 0.05, 0.07)
    pavement(canvas, frame)
    for u in (60, 420, 780, 1140, 1500):
        canvas.paint(canvas.polygon(frame.box(u - 12, -130, u + 12, -20)), (0.42, 0.42, 0.42), 0.03, 0.04)
    runway(canvas, frame, 1560)
    canvas.paint(canvas.line([frame.at(40, -120), frame.at(1520, -120)], 24), (0.43, 0.43, 0.43), 0.03, 0.04)
    canvas.paint(canvas.line([frame.at(40, -120), frame.at(1520, -120)], 0.5), (0.75, 0.65, 0.2), 0)
    things.shed(canvas, Frame(*frame.at(800, -345), frame.degrees), 500, 34, (0.80, 0.80, 0.79), 14)
    for u in np.arange(580, 1040, 55.0):
        canvas.paint(canvas.line([frame.at(u + 14, -328), frame.at(u + 8, -298)], 3.4), (0.72, 0.72, 0.72))
        things.aircraft(canvas, rng, Frame(*frame.at(u, -290), frame.degrees - 90), rng.uniform(32, 42))
    for u in np.arange(560, 1080, 62.0):
        if rng.random() < 0.75:
            things.aircraft(
                canvas,
                rng,
                Frame(*frame.at(u, -200 + rng.normal() * 3), frame.degrees + rng.choice([-90, 90])),
                rng.uniform(26, 40),
            )
    for u, v, turn in [
        (90, -120, 180),
        (150, -122, 180),
        (35, -2, 0),
        (330, -120, 0),
        (690, 0, 0),
        (1185, -120, 180),
        (1250, -119, 180),
        (1490, -60, 90),
    ]:
        things.aircraft(canvas, rng, Frame(*frame.at(u, v), frame.degrees + turn), rng.uniform(32, 42))
    field = shapely.union(area(frame, -20, -185, 1590, 75), area(frame, 520, -365, 1110, -180))
    return {"airport": field}


def pavement(canvas: Canvas, frame: Frame) -> None:
    """The apron: concrete slabs with joints and stains."""
    canvas.paint(canvas.polygon(frame.box(520, -330, 1110, -130)), (0.60, 0.59, 0.56), 0.02, 0.04)
    for u in np.arange(520, 1111, 10.0):
        canvas.paint(canvas.line([frame.at(u, -330), frame.at(u, -130)], 0.2), (0.48, 0.47, 0.45), 0)
    for v in np.arange(-330, -129, 10.0):
        canvas.paint(canvas.line([frame.at(520, v), frame.at(1110, v)], 0.2), (0.48, 0.47, 0.45), 0)
    canvas.paint(canvas.line([frame.at(540, -245), frame.at(1090, -245)], 0.6), (0.75, 0.65, 0.2), 0)


def runway(canvas: Canvas, frame: Frame, length: float) -> None:
    """Dark asphalt, white marks, the rubber of landings."""
    white = (0.85, 0.85, 0.83)
    canvas.paint(canvas.polygon(frame.box(-10, -30, length + 10, 30)), (0.47, 0.46, 0.43), 0.03, 0.04)
    canvas.paint(canvas.polygon(frame.box(0, -22.5, length, 22.5)), (0.34, 0.34, 0.35), 0.03, 0.04)
    for v in (-3.5, 3.5):
        rubber = canvas.line([frame.at(160, v), frame.at(length - 160, v)], 3.5)
        canvas.shade(rubber, 0.22)
    for end, way in ((0, 1), (length, -1)):
        for v in [*np.arange(-20, -2, 3.6), *np.arange(3.4, 21, 3.6)]:
            canvas.paint(
                canvas.polygon(frame.box(end + way * 6, v - 0.9, end + way * 36, v + 0.9)), white, 0.02
            )
        for u in (110, 190):
            for v in (-9, 9):
                canvas.paint(
                    canvas.polygon(frame.box(end + way * u, v - 2.5, end + way * (u + 40), v + 2.5)),
                    white,
                    0.02,
                )
    for v in (-21, 21):
        canvas.paint(canvas.line([frame.at(0, v), frame.at(length, v)], 0.9), white, 0)
    things.dashed(canvas, frame.at(60, 0), frame.at(length - 60, 0), 0.9, 30, 20)


def bridges(canvas: Canvas, _rng: Rng) -> dict[str, BaseGeometry]:
    """Three road bridges over the river, with parapets, piers and their shadow on the water."""
    spans = []
    for u, width in ((-228, 12), (0, 14), (444, 12)):
        crossing = shapely.LineString([STREETS.at(u, -300), STREETS.at(u, 300)]).intersection(
            river_bed().buffer(6)
        )
        (x0, y0), (x1, y1) = crossing.coords
        deck, length = Frame(x0, y0, degrees(atan2(y1 - y0, x1 - x0))), crossing.length
        for along in np.arange(0.15, 0.9, 0.17) * length:
            pier_ends = [deck.at(along, -0.62 * width), deck.at(along, 0.62 * width)]
            canvas.paint(canvas.line(pier_ends, 3.5), CONCRETE)
        canvas.shadow(deck.box(0, -width / 2, length, width / 2), 9.0)
        canvas.paint(
            canvas.polygon(deck.box(-8, -width / 2, length + 8, width / 2)), (0.74, 0.73, 0.70), 0.02
        )
        lanes = deck.box(-8, 1.2 - width / 2, length + 8, width / 2 - 1.2)
        canvas.paint(canvas.polygon(lanes), (0.45, 0.45, 0.45), 0.02)
        things.dashed(canvas, deck.at(0, 0), deck.at(length, 0), 0.4)
        spans.append(area(deck, 0, -45, length, 45))
    return {"bridge": shapely.union_all(spans)}
