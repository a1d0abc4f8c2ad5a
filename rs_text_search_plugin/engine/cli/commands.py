"""What each command does: arguments in, the JSON object of docs/protocol.md out."""

from __future__ import annotations

import signal
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any

from rs_text_search_plugin.contracts.encode import encode
from rs_text_search_plugin.contracts.errors import Cancelled, QueryError, SearchError
from rs_text_search_plugin.contracts.operations.search import export_row
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.output.export import export_index
from rs_text_search_plugin.engine.service.operations import call
from rs_text_search_plugin.engine.service.reporting import Json, explain
from rs_text_search_plugin.engine.service.session import Session, index_of

Watch = Callable[[int, int], None]


def index(session: Session, args: Namespace, watch: Watch) -> Json:
    """One report, or with several rasters {"indexes": reports, "errors": of those that failed}."""
    several = len(args.words) > 1
    reports, errors = [], []
    with stoppable() as stop:
        for source in args.words:
            out = args.out and str(Path(args.out, Path(source).name + ".rsidx") if several else args.out)
            request = _how(args) | {"source": source, "out": out}
            try:
                reports.append(call(session, "index", request, Job(watch, stop.is_set)))
            except Cancelled:
                raise
            except SearchError as error:
                if not several:
                    raise
                errors.append({"source": source, **asdict(explain(error))})
    return {"indexes": reports, "errors": errors} if several else reports[0]


def _how(args: Namespace) -> Json:
    names = ("model", "tile_px", "tile_m", "overlap", "levels", "bands", "device", "mode", "allow_network")
    return {name: getattr(args, name) for name in names} | _area(args)


def _area(args: Namespace) -> Json:
    geometry, crs = args.area or (None, None)
    return {"area": geometry, "area_crs": crs}


@contextmanager
def stoppable() -> Iterator[Event]:
    """The first Ctrl-C sets the event, so that work ends in good order; the second breaks off."""
    stop = Event()

    def note(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def search(session: Session, args: Namespace, watch: Watch) -> Json:
    """The search result, with the report of `--out` under "export" and that of `--zoom` under "zoom"."""
    found = call(session, "search", _search_request(args), Job())
    if args.out:
        rows = [export_row(match) for match in found["matches"]]
        wanted = {"path": args.out, "query": found["query"], "model": found["model"], "matches": rows}
        found["export"] = call(session, "export", wanted, Job())
    if args.zoom:
        limits = {"top": args.zoom, "seconds": args.zoom_seconds, "path": args.zoom_out}
        found["zoom"] = call(session, "zoom", {"result": found["result"], **limits}, Job(watch))
    return found


def _search_request(args: Namespace) -> Json:
    names, text = split_words(args)
    as_typed = {name: getattr(args, name) for name in ("without", "language", "top", "min_score", "rerank")}
    examples = {
        "like": _marks(names, args.like),
        "unlike": _marks(names, args.unlike),
        "like_images": args.like_image,
        "unlike_images": args.unlike_image,
    }
    return {"indexes": names, "text": text, "heat": args.heat or False, **as_typed, **examples, **_area(args)}


def split_words(args: Namespace) -> tuple[list[str], str]:
    """Index names and the text, which is the last word; with --like or --like-image it may be missing."""
    if (args.like or args.like_image) and Path(args.words[-1]).exists():
        return args.words, ""
    return args.words[:-1], args.words[-1]


def _marks(names: list[str], marks: list[tuple[int, int]]) -> list[Json]:
    if any(not 1 <= number <= len(names) for number, _ in marks):
        raise QueryError(
            "A marked tile names an index that is not there.", "Write ID, or N:ID for the Nth INDEX."
        )
    return [{"index": names[number - 1], "id": tile} for number, tile in marks]


def change(session: Session, args: Namespace, watch: Watch) -> Json:
    """Where a phrase gained or lost."""
    return call(
        session, "change", {n: getattr(args, n) for n in ("before", "after", "text", "top", "least")}, Job()
    )


def contents(session: Session, args: Namespace, watch: Watch) -> Json:
    """The table of what is in rasters."""
    return call(session, "contents", {"indexes": args.words}, Job(watch))


def describe(session: Session, args: Namespace, watch: Watch) -> Json:
    """What stands at a place."""
    x, y = args.at
    return call(session, "describe", {"indexes": [args.index], "x": x, "y": y, "crs": args.crs}, Job())


def export(session: Session, args: Namespace, watch: Watch) -> Json:
    """The footprints of every tile of an index."""
    report = export_index(Path(args.file), session.index(args.index))
    return report_of({"path": args.file, **vars(report)})


def info(session: Session, args: Namespace, watch: Watch) -> Json:
    """States of index folders, or of rasters' indexes. Raises: IndexStoreError where there is neither."""
    for name in args.words:
        if not Path(name).exists():
            index_of(name)
    return call(session, "info", {"indexes": args.words}, Job())


def verify(session: Session, args: Namespace, watch: Watch) -> Json:
    """What is wrong with an index; "ok" when nothing is."""
    with stoppable() as stop:
        return call(session, "verify", {"index": args.index}, Job(watch, stop.is_set))


def models(session: Session, args: Namespace, watch: Watch) -> Json:
    """The registry; before that the weights that `--install` names are put where they are found."""
    if args.install:
        call(session, "install", {"model": args.install, "file": args.source}, Job())
    return call(session, "models", {}, Job())


def train(session: Session, args: Namespace, watch: Watch) -> Json:
    """Trains a model into a folder; `languages` fits the language adapter of the model that --base names."""
    if args.model == "languages":
        from rs_text_search_plugin.engine.search.language.fit import write_adapter  # noqa: PLC0415 - brings torch

        return report_of(write_adapter(args.base or "compact", args.data, Path(args.out)))
    from rs_text_search_plugin.models.training import pipeline as training  # noqa: PLC0415 - only here is the training code needed

    return report_of(
        training.train(
            args.model,
            args.data,
            args.out,
            device=args.device,
            seed=args.seed,
            resume=args.resume,
            options=training.Options(args.variant, dict(args.set), dict(args.recipe), args.base, args.maps),
        )
    )


def evaluate(session: Session, args: Namespace, watch: Watch) -> Json:
    """Retrieval or zero-shot figures."""
    from rs_text_search_plugin.models.evaluation import retrieval as evaluation  # noqa: PLC0415

    return report_of(
        evaluation.evaluate(
            args.model,
            args.data,
            split=args.split,
            task=args.task,
            rerank=evaluation.Rerank(args.rerank, args.candidates, args.mix),
            save_embeddings=args.save_embeddings,
            device=args.device,
        )
    )


def report_of(values: Mapping[str, Any]) -> Json:
    """Figures of a command that is no operation, as JSON has them."""
    return {name: encode(value) for name, value in values.items()}


COMMANDS: dict[str, Callable[[Session, Namespace, Watch], Json]] = {
    "index": index,
    "search": search,
    "change": change,
    "contents": contents,
    "describe": describe,
    "export": export,
    "info": info,
    "verify": verify,
    "models": models,
    "train": train,
    "evaluate": evaluate,
}
