"""Several phrases over the same tiles: each tile gets the phrase that claims it best, or none."""

from __future__ import annotations

from collections import Counter

from rs_text_search_plugin.contracts.scores import POSSIBLE
from rs_text_search_plugin.translation import tr

from .stored_result import Json

MOST_TILES = 1_000_000
"""The engine returns no more."""


def phrases_in(text: str) -> list[str]:
    """The phrases of a text, one a line; blank lines and repetitions are left out."""
    lines = (line.strip() for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def requests_for(phrases: list[str], where: Json) -> list[Json]:
    """A `search` for each phrase; `where` holds `indexes` and perhaps `area`. Only what is claimed is returned."""
    return [{"min_score": POSSIBLE, **where, "text": phrase, "top": MOST_TILES} for phrase in phrases]


def classified(phrases: list[str], answers: list[Json]) -> Json:
    """The answers as one result, in which each match carries its `phrase`; the first wins among equals."""
    best: dict[tuple[str, int], Json] = {}
    for phrase, answer in zip(phrases, answers):
        for match in answer["matches"]:
            place = match["index"], match["id"]
            if place not in best or match["score"] > best[place]["score"]:
                best[place] = {**match, "phrase": phrase}
    ranked = sorted(best.values(), key=lambda match: -float(match["score"]))
    matches = [{**match, "rank": rank, "region": 0} for rank, match in enumerate(ranked, start=1)]
    first = answers[0]
    kept = {name: first[name] for name in ("model", "sources", "tiles")}
    verdict = summary(phrases, matches, first["tiles"])
    return {**kept, "query": ", ".join(phrases), "phrases": phrases, "verdict": verdict, "matches": matches}


def summary(phrases: list[str], matches: list[Json], tiles: int) -> str:
    """How many tiles each phrase got."""
    counts = Counter(match["phrase"] for match in matches)
    parts = [f"{phrase} {counts[phrase]:,}" for phrase in phrases]
    parts.append(tr("none {count:,}").format(count=tiles - len(matches)))
    return ", ".join(parts)
