"""The operations of docs/protocol.md: plain values in, plain JSON out, for server and command line."""

from __future__ import annotations

import hashlib
import inspect
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rs_text_search_plugin.contracts.errors import Cancelled, ModelError, QueryError
from rs_text_search_plugin.contracts.messages import Match, Query, Window
from rs_text_search_plugin.engine.index import planner as indexing
from rs_text_search_plugin.engine.index import status, store
from rs_text_search_plugin.engine.output import export as exporting
from rs_text_search_plugin.engine.raster.reader import open_raster
from rs_text_search_plugin.engine.search import describe as describing
from rs_text_search_plugin.engine.search import locate as places
from rs_text_search_plugin.engine.search import regions
from rs_text_search_plugin.engine.search import rerank as reranking
from rs_text_search_plugin.engine.search import search as searching
from rs_text_search_plugin.engine.search.query import tidy, understood
from rs_text_search_plugin.models import devices, registry
from rs_text_search_plugin.version import VERSION

from .jobs import Job, Json, plain
from .session import Session, index_of

PROTOCOL = 1
DEFAULT_MODEL = "compact"


def call(session: Session, name: str, args: Json, job: Job) -> Json:
    """Performs an operation by name. Raises: SearchError; QueryError when the arguments are not its."""
    if name not in OPERATIONS:
        raise QueryError(f"Unknown operation “{name}”.", "Plugin and engine differ: repair the engine.")
    _check(OPERATIONS[name], session, job, **args)
    return plain(OPERATIONS[name](session, job, **args))


def _check(function: Callable[..., Any], *args: Any, **named: Any) -> None:
    try:
        inspect.signature(function).bind(*args, **named)
    except TypeError as error:
        hint = "docs/protocol.md lists what every operation takes."
        raise QueryError(f"Wrong arguments: {error}.", hint) from error


def hello(session: Session, job: Job) -> Json:
    """Who answers, and on which device it computes."""
    return {
        "version": VERSION,
        "protocol": PROTOCOL,
        "python": platform.python_version(),
        "device": devices.choose_device("auto"),
        "devices": devices.devices(),
    }


def list_models(session: Session, job: Job) -> Json:
    """Every model of the registry."""
    return {"models": registry.available()}


def install(session: Session, job: Job, *, model: str, file: str | None = None) -> Json:
    """Puts a model's weights where they are found: those in `file`, or else a download."""

    def watch(done: int, total: int) -> None:
        if job.cancelled():
            raise Cancelled("The download was stopped.", "The next one goes on from there.")
        job.progress(done, total)

    return {"path": registry.install(model, file, watch)}


def info(
    session: Session,
    job: Job,
    *,
    sources: Sequence[str] = (),
    indexes: Sequence[str] = (),
    model: str | None = None,
) -> Json:
    """State of the index of every raster, then of every index folder."""
    return {"indexes": [status.state(name, model=model) for name in (*sources, *indexes)]}


def plan(
    session: Session, job: Job, *, source: str, model: str = DEFAULT_MODEL, device: str = "auto", **how: Any
) -> Json:
    """What indexing would make and cost: tiles, seconds on this machine, bytes on disk."""
    options = _options(source, how)
    encoder = session.encoder(model, device)
    planned = indexing.plan(source, options, encoder.size, encoder.dim)
    return {**vars(planned), "seconds": planned.tiles / session.tiles_per_s(encoder)}


def index(
    session: Session, job: Job, *, source: str, model: str = DEFAULT_MODEL, device: str = "auto", **how: Any
) -> Json:
    """Embeds every tile of a raster into its index folder; what is there already is kept."""
    start = time.monotonic()
    options = _options(source, how)
    encoder = session.encoder(model, device)
    report = indexing.index(source, encoder, options, progress=job.progress, cancelled=job.cancelled)
    if report.tiles > report.resumed:
        session.speeds[encoder.fingerprint] = report.tiles_per_s
    seconds = time.monotonic() - start
    return {**vars(report), "seconds": seconds, "device": devices.choose_device(device).label}


def _options(source: str, how: Json) -> indexing.IndexOptions:
    """Checks all that can be checked before a model is loaded. Raises: QueryError, RasterError."""
    _check(_index_options, **how)
    options = _index_options(**how)
    with open_raster(source, options.bands):
        return options


def _index_options(  # noqa: PLR0913, PLR0917 - one per field of the request
    tile_px: int | None = None,
    tile_m: float | None = None,
    overlap: float = 0.0,
    bands: Sequence[int] | None = None,
    area: Json | None = None,
    area_crs: str | None = None,
    out: str | None = None,
    mode: str = "auto",
) -> indexing.IndexOptions:
    chosen = tuple(bands) if bands else None
    return indexing.IndexOptions(
        tile_px, tile_m, overlap, chosen, area, area_crs, Path(out) if out else None, mode
    )


def search(  # noqa: PLR0913 - one per field of the request
    session: Session,
    job: Job,
    *,
    indexes: Sequence[str],
    text: str = "",
    without: str = "",
    like: Sequence[Json] = (),
    unlike: Sequence[Json] = (),
    top: int = 200,
    min_score: float = 0.0,
    area: Json | None = None,
    area_crs: str | None = None,
    heat: bool | str = False,
    rerank: bool | str = False,
) -> Json:
    """Ranks the tiles of all indexes by how well they fit a text, marked tiles, or both."""
    opened = [session.index(name) for name in indexes]
    query = Query(text, without, _marks(like), _marks(unlike))
    again = rerank and tidy(text)  # a reranker reads words only
    reranker = session.reranker(registry.RERANKER if rerank is True else str(rerank)) if again else None
    result = searching.search(
        opened,
        _encoder_of(session, opened),
        query,
        top=max(top, reranking.DEPTH) if reranker else top,
        min_score=min_score,
        area=area,
        area_crs=area_crs,
    )
    if reranker:
        result = reranking.rerank(result, opened, understood(query), reranker, job)
    answer = {name: value for name, value in vars(result).items() if name != "scores"}
    answer["matches"] = result.matches[:top]
    answer["verdict"] += _unfinished(opened)
    answer["sources"] = [_source(item) for item in opened]
    answer["heat"] = _heat(session, opened, result, heat) if heat else []
    return answer


def _marks(tiles: Sequence[Json]) -> tuple[tuple[str, int], ...]:
    return tuple((str(index_of(tile["index"])), int(tile["id"])) for tile in tiles)


def _encoder_of(session: Session, opened: Sequence[store.Index]) -> Any:
    """The model that all of the indexes were made with. Raises: QueryError, ModelError."""
    if not opened:
        raise QueryError("There is nothing to search in.", "Index a raster first.")
    made = {item.meta.model: item.folder.name for item in opened}
    if len(made) > 1:
        named = " and ".join(f"{folder} with {model}" for model, folder in made.items())
        hint = "Search them one after another, or index them with the same model."
        raise QueryError(f"These indexes were made with different models: {named}.", hint)
    (model,) = made
    try:
        return session.encoder(model)
    except ModelError as error:
        raise ModelError(f"{made[model]} was made with {model}. {error.message}", error.hint) from error


def _unfinished(opened: Sequence[store.Index]) -> str:
    """What a verdict must add when places may be missing."""
    names = [Path(item.meta.source).name for item in opened if not item.meta.complete]
    return f" Indexed only in part: {', '.join(names)}." if names else ""


def _source(item: store.Index) -> Json:
    meta = item.meta
    return {"index": item.folder, "source": meta.source, "crs": meta.crs, "gsd_m": meta.gsd_m}


def _heat(
    session: Session, opened: Sequence[store.Index], result: searching.SearchResult, heat: bool | str
) -> list[Json]:
    """One GeoTIFF an index; a file name is for one index, True for files that live as long as the session."""
    if isinstance(heat, str) and len(opened) > 1:
        raise QueryError(
            "One heat file cannot hold several rasters.", "Search one index at a time to write its heat."
        )
    stamp = hashlib.sha256(f"{result.query} {time.time()}".encode()).hexdigest()[:12]
    written = []
    for number, (item, scores) in enumerate(zip(opened, result.scores, strict=True)):
        path = Path(heat) if isinstance(heat, str) else session.folder("heat") / f"{stamp}-{number}.tif"
        written.append({"index": item.folder, "path": regions.write_heat(item, scores, path)})
    return written


def describe(  # noqa: PLR0913 - one per field of the request
    session: Session,
    job: Job,
    *,
    indexes: Sequence[str] = (),
    x: float = 0.0,
    y: float = 0.0,
    crs: str | None = None,
    index: str | None = None,
    id: int | None = None,
) -> Json:
    """What stands in the tile named, or in the one whose centre is nearest to a point."""
    if index is None or id is None:
        tiles = locate(session, job, indexes=indexes, x=x, y=y, crs=crs)["tiles"]
        if not tiles:
            raise QueryError(
                f"No indexed tile covers {x:g}, {y:g}.", "Choose a place inside an indexed raster."
            )
        index, id = tiles[0]["index"], tiles[0]["id"]
    opened = session.index(index)
    found = describing.describe(opened, id, _encoder_of(session, [opened]))
    return {**vars(found), "crs": opened.meta.crs}


def locate(
    session: Session, job: Job, *, indexes: Sequence[str], x: float, y: float, crs: str | None = None
) -> Json:
    """The tiles over a point, index by index, nearest centre first."""
    tiles = []
    for item in (session.index(name) for name in indexes):
        found = places.tiles_at(item, x, y, crs)
        for position, corners in zip(found, item.corners(found), strict=True):
            tiles.append(
                {"index": item.folder, "id": item.ids[position], "corners": corners, "crs": item.meta.crs}
            )
    return {"tiles": tiles}


def thumbnails(session: Session, job: Job, *, index: str, ids: Sequence[int], size: int = 128) -> Json:
    """Pictures of tiles as PNG files, which live as long as the session."""
    opened = session.index(index)
    stamp = hashlib.sha256(f"{opened.folder} {opened.meta}".encode()).hexdigest()[:12]
    return {"paths": places.thumbnails(opened, ids, size, session.folder(f"thumbnails-{stamp}"))}


def export(  # noqa: PLR0913 - one per field of the request
    session: Session,
    job: Job,
    *,
    path: str,
    query: str,
    model: str,
    matches: Sequence[Json],
    crs: str | None = None,
) -> Json:
    """Writes matches, as `search` returned them, to a vector file; its ending names the format."""
    rows = [_match(row) for row in matches]
    opened = {row.index: session.index(row.index) for row in rows}
    report = exporting.export(Path(path), rows, opened, query, model, crs)
    return {"path": path, **vars(report)}


def _match(row: Json) -> Match:
    corners = tuple((float(x), float(y)) for x, y in row["corners"])
    return Match(**{**row, "window": Window(*row["window"]), "corners": corners})


OPERATIONS: dict[str, Callable[..., Json]] = {
    "hello": hello,
    "models": list_models,
    "install": install,
    "info": info,
    "plan": plan,
    "index": index,
    "search": search,
    "describe": describe,
    "locate": locate,
    "thumbnails": thumbnails,
    "export": export,
}
