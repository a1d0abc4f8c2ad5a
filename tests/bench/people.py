"""tests/bench/people_words.toml: what people type, and which images of a val gallery answer it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tomllib
from rs_text_search_plugin.models.training.datasets import Row

SMALL_WORDS = frozenset(
    {"a", "the", "with", "of", "and", "in", "by", "for", "on", "at", "their", "where", "are", "many"}
)
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Place:
    """Scene classes of each data set, and the queries they answer."""

    labels: dict[str, tuple[str, ...]]
    queries: tuple[str, ...]


def places() -> list[Place]:
    """The whole list."""
    table = tomllib.loads(Path(__file__).with_name("people_words.toml").read_text("utf-8"))["place"]
    return [
        Place({name: tuple(found) for name, found in raw.items() if name != "queries"}, tuple(raw["queries"]))
        for raw in table
    ]


def shown(place: Place, name: str, rows: Sequence[Row]) -> tuple[Mask, Mask]:
    """Which of the n images show a place, and which may do so: another scene, whose captions use all the words of
    one of its queries."""
    yes = np.array([row.label in place.labels[name] for row in rows])
    wordings = [stems(query) for query in place.queries]
    captions = [stems(" ".join(row.captions)) for row in rows]
    told = np.array([any(wording <= caption for wording in wordings) for caption in captions])
    return yes, told & ~yes


def stems(text: str) -> set[str]:
    """Lower-case words but for small ones, without a plural s."""
    return {word.rstrip("s") for word in re.findall("[a-z]+", text.lower()) if word not in SMALL_WORDS}
