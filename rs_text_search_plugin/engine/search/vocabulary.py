"""The words a tile is described with: resources/vocabulary.toml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import tomllib

SOURCE = "vocabulary.toml"


@dataclass(frozen=True)
class Word:
    """One entry. `needs`: coarsest pixel in metres at which it can be made out; infinite when any will do."""

    name: str
    group: str
    say: str
    also: tuple[str, ...]
    needs: float
    asked: tuple[str, ...] = ()
    """Words for the same that encoders know less well: a query that is one of them is taken for the name."""


@cache
def words() -> tuple[Word, ...]:
    """Read once from the package."""
    return tuple(
        Word(
            name,
            group,
            raw.get("say", name),
            tuple(raw.get("also", ())),
            raw.get("needs", float("inf")),
            tuple(raw.get("asked", ())),
        )
        for group, entries in tomllib.loads(source().decode()).items()
        for name, raw in entries.items()
    )


def source() -> bytes:
    """The file as it is."""
    return files("rs_text_search_plugin.resources").joinpath(SOURCE).read_bytes()
