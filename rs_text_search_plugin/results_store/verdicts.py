"""What a person says about matches in a review."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum

from qgis.PyQt.QtCore import QVariant

from .attribute_table import AttributeTable, Column

TABLE = "text_search_verdicts"
COLUMNS = (
    Column("query"),
    Column("index"),
    Column("tile_id", QVariant.LongLong),
    Column("verdict"),
    Column("score", QVariant.Double),
    Column("date"),
)
KEY = ("query", "index", "tile_id")


class Judgement(str, Enum):
    """Whether a tile shows what was asked; a skipped one was looked at without a decision."""

    KEEP = "keep"
    DISCARD = "discard"
    SKIP = "skip"


@dataclass(frozen=True)
class Verdict:
    """One judgement of one tile for one query."""

    query: str
    index: str
    """Index folder."""
    tile_id: int
    verdict: Judgement
    score: float
    """0-100, as it was when the tile was judged."""
    date: str
    """ISO 8601."""


class VerdictTable:
    """Verdicts in a GeoPackage: one for each query and tile. Every method may raise StorageError."""

    def __init__(self, table: AttributeTable) -> None:
        self.table = table

    def put(self, verdict: Verdict) -> None:
        """Store a verdict in place of an older one on the same query and tile."""
        self.table.put({**asdict(verdict), "verdict": verdict.verdict.value}, KEY)

    def remove(self, query: str, index: str, tile_id: int) -> None:
        """Take a verdict back."""
        self.table.remove(query=query, index=index, tile_id=tile_id)

    def of(self, query: str) -> dict[tuple[str, int], Verdict]:
        """(index folder, tile id) -> verdict."""
        rows = self.table.rows(query=query)
        found = [Verdict(**{**row, "verdict": Judgement(row["verdict"])}) for row in rows]
        return {(verdict.index, verdict.tile_id): verdict for verdict in found}

    def count(self) -> int:
        """How many verdicts there are, of all queries."""
        return len(self.table.rows())
