"""Which things an image shows, does not show, or may show. Source: things.toml.

Boxes cover the labelled things of a data set only, captions name what their writer cared for, and a scene's label
makes some things unlikely. Where none of them tells, the image is neither an example of the thing nor a
counterexample of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import tomllib

Known = npt.NDArray[np.int8]
"""(things,) or (n, things): PRESENT, UNKNOWN or ABSENT."""
PRESENT, UNKNOWN, ABSENT = 1, 0, -1
OTHER_NAMES = {"solar panel array": "solar panels", "harbor pier": "harbor", "minibus": "bus"}
"""Names of boxes that differ from those of things.toml."""


@dataclass(frozen=True)
class Thing:
    """What people call one of it and several, and where it is and may be."""

    name: str
    one: tuple[str, ...]
    many: tuple[str, ...]
    words: re.Pattern[str]
    shown: frozenset[str]
    maybe: frozenset[str]


@dataclass(frozen=True)
class ObjectSet:
    """A data set of chips: the things that its boxes cover, its share of the draws, the scenes its chips may show."""

    boxed: tuple[int, ...]
    weight: float
    scenes: frozenset[str]


@dataclass(frozen=True)
class Things:
    """The table; things go by their number in `all`."""

    all: tuple[Thing, ...]
    sets: Mapping[str, ObjectSet]

    @cached_property
    def number(self) -> dict[str, int]:
        """Name of a thing, here or in boxes -> its number."""
        own = {thing.name: number for number, thing in enumerate(self.all)}
        return own | {other: own[name] for other, name in OTHER_NAMES.items()}

    @cached_property
    def names(self) -> frozenset[str]:
        """Everything that people call a thing."""
        return frozenset(name for thing in self.all for name in (*thing.one, *thing.many))

    def named(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(things,): which of them any of the texts names."""
        text = " | ".join(texts).lower()
        return np.array([bool(thing.words.search(text)) for thing in self.all])

    def of_label(self, label: str) -> Known:
        """What a scene's label, or the name of an object set, tells."""
        states = [PRESENT if label in t.shown else UNKNOWN if label in t.maybe else ABSENT for t in self.all]
        return np.array(states, np.int8)

    def of_captions(self, label: str, captions: Sequence[str]) -> Known:
        """What a label and captions tell: what they name is present."""
        known = self.of_label(label)
        known[self.named(captions)] = PRESENT
        return known


@cache
def things() -> Things:
    """The table in things.toml."""
    text = resources.files(__package__).joinpath("things.toml").read_text("utf-8")
    table: dict[str, Any] = tomllib.loads(text)
    found = tuple(_thing(name, raw, table["groups"]) for name, raw in table["thing"].items())
    numbers = {thing.name: number for number, thing in enumerate(found)}
    return Things(found, {name: _object_set(raw, numbers) for name, raw in table["sets"].items()})


def _thing(name: str, raw: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> Thing:
    shown, maybe = (_spread(raw.get(key, ()), groups) for key in ("shown", "maybe"))
    words = re.compile(rf"\b(?:{raw['words']})\b")
    return Thing(name, tuple(raw["one"]), tuple(raw["many"]), words, shown, maybe)


def _spread(labels: Sequence[str], groups: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Labels with `@group` replaced by the labels of that group."""
    parts = [groups[label[1:]] if label.startswith("@") else (label,) for label in labels]
    return frozenset(label for part in parts for label in part)


def _object_set(raw: Mapping[str, Any], numbers: Mapping[str, int]) -> ObjectSet:
    boxed = tuple(numbers[thing] for thing in raw.get("boxed", ()))
    return ObjectSet(boxed, raw["weight"], frozenset(raw.get("scenes", ())))
