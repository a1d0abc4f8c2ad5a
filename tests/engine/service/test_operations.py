"""The operations on a real index, with an encoder that tells colours apart."""

from __future__ import annotations

import json
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from rs_text_search_plugin.models import registry

from rs_text_search_plugin.contracts.errors import Cancelled, IndexStoreError, ProtocolError, QueryError
from rs_text_search_plugin.contracts.operations import OPERATIONS
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.raster.reader import Raster
from rs_text_search_plugin.engine.search.query import parse as parsing
from rs_text_search_plugin.engine.service.operations import HANDLERS, call
from rs_text_search_plugin.engine.service.reporting import explain
from rs_text_search_plugin.engine.service.session import Session
from tests.engine.fakes import ColourEncoder, write_scene

Answer = dict[str, Any]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(registry, "load", lambda name="compact", device="auto": ColourEncoder(name=name))
    return Session()


@pytest.fixture
def scene(tmp_path: Path) -> str:
    return str(write_scene(tmp_path / "scene.tif"))


@pytest.fixture
def index(session: Session, scene: str) -> str:
    return str(call(session, "index", {"source": scene, "tile_px": 32}, Job())["index"])


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[Any]:
    """The calls of a function from now on, by their first own argument."""
    calls: list[Any] = []
    before = getattr(owner, name)

    def note(*args: Any, **named: Any) -> Any:
        calls.append(args[-1] if args else None)
        return before(*args, **named)

    monkeypatch.setattr(owner, name, note)
    return calls


@pytest.mark.parametrize("operation", ["plan", "index"])
def test_a_raster_is_opened_once(
    session: Session, scene: str, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = counted(monkeypatch, Raster, "__init__")
    assert call(session, operation, {"source": scene, "tile_px": 32}, Job())["tiles"] == 64
    assert len(opened) == 1


def test_a_text_is_repaired_once(session: Session, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    repaired = counted(monkeypatch, parsing, "repaired")
    call(session, "search", {"indexes": [index], "text": "red"}, Job())
    assert len(repaired) == 1


def test_export_takes_footprints_from_the_index(session: Session, index: str, tmp_path: Path) -> None:
    import pyogrio  # noqa: PLC0415
    import shapely  # noqa: PLC0415

    found = call(session, "search", {"indexes": [index], "text": "red", "top": 1}, Job())["matches"][0]
    row = {name: found[name] for name in ("index", "id", "rank", "score", "region")}
    wanted = {"path": str(tmp_path / "a.gpkg"), "query": "red", "model": "colour", "matches": [row]}
    assert call(session, "export", wanted, Job())["features"] == 1
    _, _, shapes, _ = pyogrio.raw.read(tmp_path / "a.gpkg")
    assert shapely.from_wkb(shapes[0]).equals(shapely.Polygon(found["corners"]))


def test_an_export_of_a_tile_that_is_not_there_says_so(session: Session, index: str, tmp_path: Path) -> None:
    wanted = {"path": str(tmp_path / "a.gpkg"), "query": "red", "model": "colour"}
    with pytest.raises(IndexStoreError, match="no tile 999"):
        call(session, "export", {**wanted, "matches": [{"index": index, "id": 999}]}, Job())


def test_describe_needs_a_tile_or_a_point(session: Session, index: str) -> None:
    with pytest.raises(QueryError, match="neither a tile nor a point") as error:
        call(session, "describe", {"indexes": [index]}, Job())
    assert "`x` and `y`" in error.value.hint


def test_an_unknown_operation_says_what_to_do(session: Session) -> None:
    with pytest.raises(ProtocolError, match="Unknown operation “fly”") as error:
        call(session, "fly", {}, Job())
    assert "repair the engine" in error.value.hint


# ---- while an index is being made ----


class Gate:
    """Stops an index run once `tiles` are done, until it is opened."""

    def __init__(self, tiles: int) -> None:
        self.tiles = tiles
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, done: int, total: int) -> None:
        if done >= self.tiles:
            self.reached.set()
            assert self.opened.wait(60)


def test_what_is_done_of_an_index_is_searched_while_the_rest_is_being_made(
    session: Session, tmp_path: Path
) -> None:
    source = str(write_scene(tmp_path / "scene.tif", side=1024))
    gate = Gate(tiles=512)
    request = {"source": source, "tile_px": 32}
    run = threading.Thread(target=call, args=(session, "index", request, Job(progress=gate)))
    run.start()
    assert gate.reached.wait(60)
    asked = {"indexes": [source], "text": "red"}
    early = call(session, "search", asked, Job())
    place = call(session, "locate", {"indexes": [source], "x": 500_040, "y": 4_999_975}, Job())["tiles"][0]
    told = call(session, "describe", {"index": source, "id": place["id"]}, Job())
    state = call(session, "info", {"sources": [source]}, Job())["indexes"][0]
    image = call(session, "thumbnails", {"index": source, "ids": [0]}, Job())["paths"][0]
    assert run.is_alive()
    gate.opened.set()
    run.join(60)
    late = call(session, "search", asked, Job())
    assert 0.4 < early["searched"] < 0.6
    assert f"Searched {100 * early['searched']:.0f} % so far; not all of scene.tif" in early["verdict"]
    assert early["matches"][0]["id"] == late["matches"][0]["id"]
    assert told["sentence"]
    assert state["state"] == "unfinished"
    assert Path(image).is_file()
    assert (late["searched"], late["tiles"]) == (1.0, 1024)
    assert "so far" not in late["verdict"]


def test_before_the_first_part_is_there_a_search_says_so(session: Session, scene: str) -> None:
    with pytest.raises(Cancelled):
        call(session, "index", {"source": scene, "tile_px": 32}, Job(cancelled=lambda: True))
    answer = call(session, "search", {"indexes": [scene], "text": "red", "heat": True}, Job())
    assert (answer["verdict"], answer["searched"]) == ("Nothing is indexed yet.", 0.0)
    assert (answer["matches"], answer["heat"], sum(answer["histogram"])) == ([], [], 0)


def test_an_index_just_begun_does_not_hide_the_others(session: Session, index: str, tmp_path: Path) -> None:
    begun = str(write_scene(tmp_path / "begun.tif"))
    with pytest.raises(Cancelled):
        call(session, "index", {"source": begun, "tile_px": 32}, Job(cancelled=lambda: True))
    answer = call(session, "search", {"indexes": [begun, index], "text": "red", "heat": True}, Job())
    assert (answer["searched"], len(answer["matches"]), len(answer["sources"])) == (0.5, 64, 2)
    assert [heat["index"] for heat in answer["heat"]] == [index]


# ---- what is wrong with one index ----


@pytest.mark.parametrize(
    "damage",
    [
        {"source": None},
        {"parts": ["x"]},
        {"transform": [1, 2]},
        {"lattice": 5},
        {"overlap": "half"},
        {"unreadable": [7]},
        {"width": -3},
        {"badges": [[]]},
    ],
    ids=lambda damage: next(iter(damage)),
)
def test_a_damaged_index_does_not_hide_a_healthy_one(
    session: Session, index: str, tmp_path: Path, damage: dict[str, Any]
) -> None:
    other = str(write_scene(tmp_path / "b.tif"))
    bad = str(call(session, "index", {"source": other, "tile_px": 32}, Job())["index"])
    meta = json.loads(Path(bad, "meta.json").read_text())
    del meta["checksum"]  # as in an index of version 0.1.0
    Path(bad, "meta.json").write_text(json.dumps({**meta, **damage}))
    states = call(session, "info", {"indexes": [bad, index]}, Job())["indexes"]
    assert [state["state"] for state in states] == ["damaged", "complete"]
    assert states[0]["detail"]


def test_a_meta_nested_without_end_stays_its_own_trouble(
    session: Session, index: str, tmp_path: Path
) -> None:
    bad = tmp_path / "deep.rsidx"
    bad.mkdir()
    (bad / "meta.json").write_text("[" * 100_000)
    states = call(session, "info", {"indexes": [str(bad), index]}, Job())["indexes"]
    assert [state["state"] for state in states] == ["damaged", "complete"]


# ---- whatever comes over the wire ----

STRANGE: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**30,
    0.5,
    1e308,
    float("nan"),
    "",
    "x",
    "\0",
    "\ud800",
    "y" * 200_000,
    [],
    [None],
    [[]],
    ["x"],
    {},
    {"type": "Polygon", "coordinates": [[["a"]]]},
    [{"index": "x", "id": "y"}],
)
OPERATIONS_TRIED = [name for name in HANDLERS if name != "install"]  # it would download


@pytest.mark.parametrize("name", OPERATIONS_TRIED)
def test_no_value_of_any_field_is_taken_for_a_bug(
    session: Session, index: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some values are names of files to write
    good: dict[str, Any] = {
        "indexes": [index],
        "index": index,
        "id": 0,
        "ids": [0],
        "source": index.removesuffix(".rsidx"),
        "text": "red",
        "x": 500_040.0,
        "y": 4_999_975.0,
        "tile_px": 32,
        "result": "none",
        "path": str(tmp_path / "a.gpkg"),
        "query": "q",
        "model": "compact",
        "matches": [{"index": index, "id": 0}],
        "out": str(tmp_path / "out.rsidx"),
    }
    known = [field.name for field in fields(OPERATIONS[name].request)]
    base = {field: good[field] for field in known if field in good}
    bugs = []
    for field in known:
        for value in STRANGE:
            try:
                call(session, name, {**base, field: value}, Job())
            except Exception as error:
                told = explain(error)
                if told.kind in {"Internal", "ImportError", "MemoryError"}:
                    bugs.append((field, str(value)[:30], told.message))
    assert bugs == []
