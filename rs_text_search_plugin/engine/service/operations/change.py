"""change: where a phrase gained or lost between two rasters of the same place."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal

import numpy as np

from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.contracts.operations.change import ChangeAnswer, ChangedPlace, ChangeRequest
from rs_text_search_plugin.engine.index.store import Index
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.search import change as comparing
from rs_text_search_plugin.engine.search.query.prompts import tidy
from rs_text_search_plugin.engine.service.session import Session


def change(session: Session, request: ChangeRequest, job: Job) -> ChangeAnswer:
    """Places ranked by how much the phrase gained or lost."""
    start = time.monotonic()
    if not tidy(request.text):
        raise QueryError("There is nothing to compare.", "Type what may have come or gone.")
    before, after = session.index(request.before), session.index(request.after)
    encoder = session.encoder_of([before, after])
    gained, lost = comparing.changes(before, after, encoder, Query(request.text), job.cancelled)
    found = [_place("gained", tile, before) for tile in gained] + [
        _place("lost", tile, after) for tile in lost
    ]
    found = sorted(
        (place for place in found if abs(place.change) >= request.least), key=lambda p: -abs(p.change)
    )
    ranked = tuple(replace(place, rank=rank) for rank, place in enumerate(found[: request.top], start=1))
    return ChangeAnswer(request.text, verdict(ranked), ranked, time.monotonic() - start)


def _place(direction: Literal["gained", "lost"], tile: comparing.ChangedTile, other: Index) -> ChangedPlace:
    """The place of a changed tile; its rank is not known yet."""
    here = tile.index
    corners = here.corners(np.array([tile.position]))[0].tolist()
    before, after = (
        (tile.other_score, tile.score) if direction == "gained" else (tile.score, tile.other_score)
    )
    return ChangedPlace(
        rank=0,
        direction=direction,
        change=round(after - before, 2),
        score_before=round(before, 2),
        score_after=round(after, 2),
        index=str(here.folder),
        id=int(here.ids[tile.position]),
        other_index=str(other.folder),
        other_id=int(other.ids[tile.other_position]),
        corners=tuple((x, y) for x, y in corners),
        crs=here.meta.crs,
        checked=tile.checked,
    )


def verdict(places: tuple[ChangedPlace, ...]) -> str:
    """One sentence about what changed."""
    gained = sum(place.direction == "gained" for place in places)
    if not places:
        return "No place changed."
    noun = "place" if gained == 1 else "places"
    return f"{gained:,} {noun} gained and {len(places) - gained:,} lost."
