"""A walk through the matches of a result that collects verdicts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rs_text_search_plugin.map.verdict_marks import put_verdict
from rs_text_search_plugin.results_store.store import ResultStore
from rs_text_search_plugin.results_store.verdicts import Judgement, Verdict

from .order import Order, ordered
from .precision import Estimate, estimate

Json = dict[str, Any]


class Review:
    """Stands at one match at a time; verdicts are stored at once. Writing may raise StorageError."""

    def __init__(self, store: ResultStore, result: Json, threshold: float) -> None:
        self.store = store
        self.query: str = result["query"]
        self.all_matches: list[Json] = result["matches"]
        self.threshold = threshold
        self.verdicts = store.verdicts(self.query)
        self.set_order(Order.SAMPLE)

    def set_order(self, order: Order) -> None:
        """Start anew in another order, at the first match without a verdict."""
        self.matches = ordered(self.all_matches, order, self.threshold)
        waiting = (n for n, match in enumerate(self.matches) if key(match) not in self.verdicts)
        self.position = next(waiting, 0)

    @property
    def match(self) -> Json | None:
        """The match under review; None when there is none at all."""
        return self.matches[self.position] if self.matches else None

    @property
    def judgement(self) -> Judgement | None:
        """The verdict on it, None for none yet."""
        verdict = self.verdicts.get(key(self.match)) if self.match else None
        return verdict.verdict if verdict else None

    def judge(self, judgement: Judgement) -> None:
        """Store a verdict on the match and go on to the next. Raises: StorageError."""
        match = self.match
        if match is None:
            return
        date = datetime.now().astimezone().isoformat(timespec="seconds")
        verdict = Verdict(self.query, *key(match), judgement, match["score"], date)
        put_verdict(self.store, verdict)
        self.verdicts[key(match)] = verdict
        self.step(1)

    def step(self, number: int) -> None:
        """Go so many matches on, or back; stops at both ends."""
        self.position = max(0, min(len(self.matches) - 1, self.position + number))

    def following(self) -> Json | None:
        """The match after this one."""
        return next(iter(self.matches[self.position + 1 :]), None)

    def judged(self, judgement: Judgement) -> list[Json]:
        """Matches with this verdict, best first."""
        found = [m for m in self.all_matches if key(m) in self.verdicts]
        return [match for match in found if self.verdicts[key(match)].verdict == judgement]

    def estimate(self) -> Estimate:
        """Precision at the threshold, from the verdicts so far; skipped matches count for nothing."""
        marks = [(m["score"], True) for m in self.judged(Judgement.KEEP)]
        marks += [(m["score"], False) for m in self.judged(Judgement.DISCARD)]
        return estimate([m["score"] for m in self.all_matches], marks, self.threshold)


def key(match: Json) -> tuple[str, int]:
    """Index folder and tile id."""
    return match["index"], match["id"]
