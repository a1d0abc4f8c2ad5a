"""How the values after an option are read: numbers, bands, marked tiles, points, areas."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

WGS84 = "EPSG:4326"
Area = tuple[dict[str, Any], str]
"""A GeoJSON geometry and its CRS."""


def at_least(low: float, kind: Callable[[str], float]) -> Callable[[str], float]:
    """Reads a number from `low` up."""

    def number(text: str) -> float:
        value = kind(text)
        if not low <= value < 1e12:  # NaN fails too
            raise argparse.ArgumentTypeError(f"{text} is not a number from {low} up")
        return value

    return number


def between(low: float, high: float) -> Callable[[str], float]:
    """Reads a number from `low` to `high`."""

    def number(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return value

    return number


def levels(text: str) -> int | None:
    """Reads `auto` as None, else how many."""
    return None if text == "auto" else int(between(1, 6)(text))


def device(text: str) -> str:
    """auto, cpu, cuda or cuda:N."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text} is neither auto, cpu nor cuda:N")
    return text


def bands(text: str) -> list[int]:
    """`4,3,2` -> [4, 3, 2]; one or three, from 1."""
    numbers = [int(part) for part in text.split(",")]
    if len(numbers) not in (1, 3) or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text} is neither one nor three band numbers from 1")
    return numbers


def marks(text: str) -> list[tuple[int, int]]:
    """`17,2:40` -> [(1, 17), (2, 40)]: number of the index on the command line, and tile id."""
    pairs = [part.rpartition(":") for part in text.split(",") if part]
    return [(int(number or 1), int(tile)) for number, _, tile in pairs]


def setting(text: str) -> tuple[str, Any]:
    """`NAME=VALUE` -> name and value; the value is JSON where it can be (1, 0.5, true), else text."""
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def point(text: str) -> tuple[float, float]:
    """`X,Y` -> (x, y)."""
    x, y = (float(part) for part in text.split(","))
    return x, y


def area(text: str) -> Area:
    """A GeoJSON file, GeoJSON, or west,south,east,north in degrees -> geometry and CRS."""
    if not text.lstrip().startswith("{"):
        numbers = re.fullmatch(r"\s*([^,]+),([^,]+),([^,]+),([^,]+)", text)
        if numbers and not Path(text).exists():
            return box(*(float(number) for number in numbers.groups())), WGS84
        try:
            text = Path(text).read_text("utf-8")
        except OSError as error:
            raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from error
    return geojson(text)


def geojson(text: str) -> Area:
    """All polygons of a GeoJSON text as one geometry, and their CRS, which only GeoJSON of 2008 names."""
    try:
        document = json.loads(text)
        polygons = [part for geometry in geometries(document) for part in parts(geometry)]
        crs = (document.get("crs") or {}).get("properties", {}).get("name", WGS84)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"this is not GeoJSON ({error})") from error
    if not polygons:
        raise argparse.ArgumentTypeError("no polygon in the GeoJSON")
    return {"type": "MultiPolygon", "coordinates": polygons}, crs


def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """A box in degrees; with west > east it crosses the date line."""
    if not (-90 <= south < north <= 90 and -180 <= west <= 180 and -180 <= east <= 180 and west != east):
        raise argparse.ArgumentTypeError("an area is west,south,east,north in degrees")
    spans = [(west, east)] if west < east else [(west, 180.0), (-180.0, east)]
    rings = [[(w, south), (e, south), (e, north), (w, north), (w, south)] for w, e in spans]
    return {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}


def geometries(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The geometries of any GeoJSON object."""
    if document.get("type") == "FeatureCollection":
        return [found for feature in document["features"] for found in geometries(feature)]
    if document.get("type") == "Feature":
        return geometries(document["geometry"] or {})
    if document.get("type") == "GeometryCollection":
        return [found for member in document["geometries"] for found in geometries(member)]
    return [document]


def parts(geometry: dict[str, Any]) -> list[Any]:
    """Coordinates of the polygons of a geometry."""
    if geometry.get("type") == "Polygon":
        return [geometry["coordinates"]]
    return list(geometry["coordinates"]) if geometry.get("type") == "MultiPolygon" else []
