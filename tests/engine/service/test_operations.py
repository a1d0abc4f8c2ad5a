"""The operations on a real index, with an encoder that tells colours apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rs_text_search_plugin.models import registry

from rs_text_search_plugin.contracts.errors import IndexStoreError, ProtocolError, QueryError
from rs_text_search_plugin.engine.raster.reader import Raster
from rs_text_search_plugin.engine.search import query as queries
from rs_text_search_plugin.engine.service.jobs import Job
from rs_text_search_plugin.engine.service.operations import call
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
    repaired = counted(monkeypatch, queries, "understood")
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
