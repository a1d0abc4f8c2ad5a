"""A search's result as it is stored: what was asked, what the engine answered, how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class StoredResult:
    """One result; it is kept when it has a hue of its own, else it is the current one."""

    table: str
    """Its layer in the GeoPackage."""
    title: str
    request: Json
    """Arguments of the engine's `search`."""
    result: Json
    """The engine's answer to them."""
    made: str
    """When, ISO 8601 with the offset from UTC."""
    min_score: float = 0.0
    top: int = 1000
    """Matches from `min_score` on and of rank `top` or better are shown."""
    hue: str = ""
    """#rrggbb of a kept result."""
    removed: bool = False
    """Removed by the person; its table stays until the project is saved without it."""
    heat: list[str] = field(default_factory=list)
    """Index folders that it has a heat raster of, in the order of its files."""

    @property
    def kept(self) -> bool:
        return bool(self.hue)

    def to_json(self) -> Json:
        return vars(self)

    @classmethod
    def from_json(cls, value: Json) -> StoredResult:
        """Fields that a newer version wrote and this one does not know are left out."""
        return cls(**{name: value[name] for name in cls.__dataclass_fields__ if name in value})


def shown_matches(stored: StoredResult) -> list[Json]:
    """The matches that pass the result's filter."""
    low, top = stored.min_score, stored.top
    return [m for m in stored.result["matches"] if m["score"] >= low and m["rank"] <= top]


def now() -> str:
    """This second, as results and verdicts are dated."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
