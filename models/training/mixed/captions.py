"""Captions for an image whose things are known: plain names, counts, two things together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from .things import PRESENT, Thing, Things
from .windows import View

NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
MORE_THAN_TEN = ("many", "many", "lots of", "a lot of", "more than ten", "numerous")
JOINTS = (" and ", " and ", " next to ", " with ")
TEMPLATES = (
    "{}", "{}", "{}", "{}", "{}", "a satellite image of {}", "an aerial photo of {}", "{} seen from above",
    "an aerial image with {}", "there is {} in the picture", "a picture of {} from above",
)  # fmt: skip
BARE_NAMES, TWO_THINGS, EXACT = 0.5, 0.4, 0.7
"""Shares: bare names among all captions, captions with a second thing, exact numbers among counts up to ten."""
COUNTED_ALREADY = frozenset({"many", "several", "two", "a", "stacked"})
"""First words of names that take no number."""


def caption(
    view: View, table: Things, rng: np.random.Generator, among: Sequence[int]
) -> tuple[str, tuple[int, ...]]:
    """A caption about one or two of the present things, and which these are; "" when none of `among` is present."""
    present = [thing for thing in among if view.known[thing] == PRESENT]
    if not present:
        return "", ()
    first = one_of(present, rng)
    if rng.random() < BARE_NAMES:
        return _bare(table.all[first], view.counts.get(first, 2), rng), (first,)
    said, others = _counted(view, table, first, rng), [thing for thing in present if thing != first]
    if others and rng.random() < TWO_THINGS:
        second = one_of(others, rng)
        both = said + one_of(JOINTS, rng) + _counted(view, table, second, rng)
        return one_of(TEMPLATES, rng).format(both), (first, second)
    return one_of(TEMPLATES, rng).format(said), (first,)


T = TypeVar("T")


def one_of(choices: Sequence[T], rng: np.random.Generator) -> T:
    """A random one."""
    return choices[int(rng.integers(len(choices)))]


def _bare(thing: Thing, count: int, rng: np.random.Generator) -> str:
    """Mostly in the plural when there are several."""
    return one_of(thing.many if rng.random() < (0.65 if count > 1 else 0.35) else thing.one, rng)


def _counted(view: View, table: Things, number: int, rng: np.random.Generator) -> str:
    """ "three airplanes", "many ships", "a bridge" """
    thing, count = table.all[number], view.counts.get(number, 0)
    if count == 0:
        return one_of((*thing.many, *(_with_article(name) for name in thing.one)), rng)
    if count == 1:
        return _single(one_of(thing.one, rng), rng)
    names = [name for name in thing.many if " " not in name or name.split()[0] not in COUNTED_ALREADY]
    return f"{_number(count, rng)} {one_of(names, rng)}"


def _number(count: int, rng: np.random.Generator) -> str:
    if count > len(NUMBERS) + 1:
        return one_of(MORE_THAN_TEN, rng)
    if rng.random() < EXACT:
        return NUMBERS[count - 2]
    return "a pair of" if count == 2 else one_of(("some", "several"), rng)


def _single(name: str, rng: np.random.Generator) -> str:
    bare = name.removeprefix("a ").removeprefix("an ")
    return one_of((_with_article(bare), _with_article(bare), f"one {bare}", f"a single {bare}"), rng)


def _with_article(name: str) -> str:
    if name.startswith(("a ", "an ")):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
