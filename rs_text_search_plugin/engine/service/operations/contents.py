"""contents: what is in rasters as a whole."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rs_text_search_plugin.contracts.operations.contents import ContentsAnswer, ContentsRequest, ContentsRow
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.search.contents import Entry
from rs_text_search_plugin.engine.search.contents import contents as entries
from rs_text_search_plugin.engine.service.session import Session


def contents(session: Session, request: ContentsRequest, job: Job) -> ContentsAnswer:
    """The entries of the vocabulary that are found, with places and area, over all indexes."""
    start = time.monotonic()
    opened = [session.index(name) for name in request.indexes]
    encoder = session.encoder_of(opened)
    found: dict[str, list[tuple[str, Entry]]] = {}
    for done, index in enumerate(opened, start=1):
        for entry in entries(index, encoder, job.cancelled):
            found.setdefault(entry.name, []).append((str(index.folder), entry))
        job.progress(done, len(opened))
    rows = sorted((_row(several) for several in found.values()), key=lambda row: (-row.places, -row.score))
    tiles = sum(len(index.ids) for index in opened)
    return ContentsAnswer(tuple(rows), tiles, time.monotonic() - start)


def _row(several: Sequence[tuple[str, Entry]]) -> ContentsRow:
    """One entry of the vocabulary over the indexes that show it."""
    folder, best = max(several, key=lambda pair: pair[1].score)
    areas = [entry.area_m2 for _, entry in several]
    return ContentsRow(
        name=best.name,
        group=best.group,
        places=sum(entry.places for _, entry in several),
        tiles=sum(entry.tiles for _, entry in several),
        area_m2=None if None in areas else sum(area for area in areas if area is not None),
        score=best.score,
        index=folder,
        id=best.id,
    )
