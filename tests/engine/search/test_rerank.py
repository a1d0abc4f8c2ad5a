"""Reranking: what it reorders, what it leaves alone, and what happens when pixels cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rs_text_search_plugin.models import registry

from rs_text_search_plugin.contracts.errors import Cancelled, ModelError, QueryError
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.search import rerank as reranking
from rs_text_search_plugin.engine.search import search as searching
from rs_text_search_plugin.engine.search.rerank import log_odds
from rs_text_search_plugin.engine.service.operations import call
from rs_text_search_plugin.engine.service.session import RESULTS_KEPT, Session
from tests.engine.fakes import ColourEncoder, RednessReranker, write_scene

Answer = dict[str, Any]
RED_TILE = 10
"""The red square of the scene: row 1, column 2 of 8."""


@pytest.fixture
def reranker(monkeypatch: pytest.MonkeyPatch) -> RednessReranker:
    made = RednessReranker()
    monkeypatch.setattr(registry, "load", lambda name="compact", device="auto": ColourEncoder(name=name))
    monkeypatch.setattr(registry, "load_reranker", lambda name, device="auto": made)
    return made


@pytest.fixture
def session(reranker: RednessReranker) -> Session:
    return Session()


def index(session: Session, raster: Path, model: str = "compact") -> str:
    return call(session, "index", {"source": str(raster), "tile_px": 32, "model": model}, Job())["index"]


@pytest.fixture
def scene(session: Session, tmp_path: Path) -> str:
    return index(session, write_scene(tmp_path / "scene.tif"))


def search(session: Session, *indexes: str, job: Job | None = None, **args: Any) -> Answer:
    return call(session, "search", {"indexes": list(indexes), **args}, job or Job())


def ids(answer: Answer) -> list[int]:
    return [match["id"] for match in answer["matches"]]


def test_the_second_look_leads_and_scores_stay_with_their_places(session: Session, scene: str) -> None:
    plain, again = (search(session, scene, text="blue", rerank=rerank) for rerank in (False, True))
    assert ids(plain)[0] != RED_TILE
    assert ids(again)[0] == RED_TILE
    assert [match["rank"] for match in again["matches"]] == list(range(1, 65))
    score = {match["id"]: match["score"] for match in plain["matches"]}
    assert {match["id"]: match["score"] for match in again["matches"]} == score
    same = ("strong", "possible", "histogram", "regions", "tiles", "model")
    assert [again[name] for name in same] == [plain[name] for name in same]
    assert (plain["reranked"], again["reranked"]) == (False, True)
    assert again["verdict"] == f"{plain['verdict']} The best 64 are reranked."


def test_a_match_far_down_gets_its_chance_but_no_more_are_returned_than_asked_for(
    session: Session, scene: str
) -> None:
    assert ids(search(session, scene, text="blue", top=3, rerank=True))[0] == RED_TILE
    assert len(search(session, scene, text="blue", top=3, rerank=True)["matches"]) == 3


def test_only_the_best_are_looked_at(
    session: Session, scene: str, reranker: RednessReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reranking, "DEPTH", 20)
    monkeypatch.setattr(reranking, "BATCH_TILES", 8)
    plain, again = (search(session, scene, text=" blue. ", rerank=rerank) for rerank in (False, "redness"))
    assert reranker.seen == [(8, 32), (8, 32), (4, 32)]
    assert set(reranker.asked) == {"blue"}
    assert sorted(ids(again)[:20]) == sorted(ids(plain)[:20])
    assert ids(again)[20:] == ids(plain)[20:]


def rerank(session: Session, result: str, **args: Any) -> Answer:
    return call(session, "rerank", {"result": result, **args}, Job())


def test_a_held_result_is_reranked_without_another_search(
    session: Session, scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = search(session, scene, text="blue", top=70, heat=True)
    at_once = search(session, scene, text="blue", top=70, rerank=True)
    monkeypatch.setattr(searching, "search", None)
    again = rerank(session, first["result"])
    assert [(m["rank"], m["id"]) for m in again["matches"]] == [
        (m["rank"], m["id"]) for m in at_once["matches"]
    ]
    assert (again["verdict"], again["reranked"]) == (at_once["verdict"], True)
    same = ("result", "heat", "sources", "histogram", "regions", "query")
    assert [again[name] for name in same] == [first[name] for name in same]
    assert rerank(session, first["result"])["verdict"] == again["verdict"]


def test_a_short_list_still_has_its_best_reranked(session: Session, scene: str) -> None:
    again = rerank(session, search(session, scene, text="blue", top=3)["result"], model="redness")
    assert ids(again)[0] == RED_TILE
    assert len(again["matches"]) == 3


def test_a_result_without_words_keeps_its_order(
    session: Session, scene: str, reranker: RednessReranker
) -> None:
    first = search(session, scene, like=[{"index": scene, "id": 37}])
    assert rerank(session, first["result"]) == first
    assert reranker.seen == []


def test_only_the_last_results_are_held(session: Session, scene: str) -> None:
    first = search(session, scene, text="blue")["result"]
    for _ in range(RESULTS_KEPT):
        last = search(session, scene, text="blue")["result"]
    assert rerank(session, last)["reranked"]
    with pytest.raises(QueryError, match="no longer holds") as error:
        rerank(session, first)
    assert error.value.hint == "Search again."


def test_several_rasters_are_reranked_together(session: Session, scene: str, tmp_path: Path) -> None:
    other = index(session, write_scene(tmp_path / "other.tif"))
    found = search(session, scene, other, text="red", top=4, rerank=True)["matches"]
    assert {(match["index"], match["id"]) for match in found[:2]} == {(scene, RED_TILE), (other, RED_TILE)}


def test_without_its_raster_an_index_keeps_its_order_and_says_so(
    session: Session, scene: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reranking, "DEPTH", 128)
    other = index(session, write_scene(tmp_path / "other.tif"))
    plain = search(session, scene, other, text="blue")
    (tmp_path / "other.tif").unlink()
    again = search(session, scene, other, text="blue", rerank=True)
    assert f"Not reranked: There is no file {tmp_path / 'other.tif'}." in again["verdict"]
    assert again["reranked"]
    before, after = (
        {m["rank"]: m["id"] for m in answer["matches"] if m["index"] == other} for answer in (plain, again)
    )
    assert len(before) == 64
    assert after == before
    assert next(match["id"] for match in again["matches"] if match["index"] == scene) == RED_TILE


def test_without_any_raster_the_first_order_stands(session: Session, scene: str) -> None:
    plain = search(session, scene, text="blue")
    Path(scene.removesuffix(".rsidx")).unlink()
    again = search(session, scene, text="blue", rerank=True)
    assert ids(again) == ids(plain)
    assert not again["reranked"]
    assert "Not reranked" in again["verdict"]


def test_a_search_without_words_is_not_reranked(
    session: Session, scene: str, reranker: RednessReranker
) -> None:
    like = [{"index": scene, "id": 37}]
    assert not search(session, scene, like=like, rerank=True)["reranked"]
    assert reranker.seen == []


def test_what_must_not_be_there_is_judged_as_well(
    session: Session, scene: str, reranker: RednessReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    likes_red = reranker.pairs
    monkeypatch.setattr(
        reranker,
        "pairs",
        lambda text, tiles: likes_red(text, tiles) if text == "cars" else 0 * likes_red(text, tiles) + 0.5,
    )
    last = ids(search(session, scene, text="blue", without="cars", rerank=True))[63]
    assert last == RED_TILE


def test_it_is_cancelled_between_two_looks(session: Session, scene: str, reranker: RednessReranker) -> None:
    with pytest.raises(Cancelled):
        search(session, scene, text="blue", rerank=True, job=Job(cancelled=lambda: bool(reranker.seen)))
    assert len(reranker.seen) == 1


def test_a_model_that_is_not_there_is_said_before_the_search(
    session: Session, scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, device: str = "auto") -> None:
        raise ModelError(f"{name} is not here.")

    monkeypatch.setattr(registry, "load_reranker", refuse)
    with pytest.raises(ModelError, match="mtgfe is not here"):
        search(session, scene, text="blue", rerank=True)


def test_a_second_look_that_cannot_tell_tiles_apart_changes_nothing(
    session: Session, scene: str, reranker: RednessReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reranker, "pairs", lambda text, tiles: np.full(len(tiles), 0.01, np.float32))
    again = search(session, scene, text="blue", rerank=True)
    assert ids(again) == ids(search(session, scene, text="blue"))
    assert again["reranked"]


def test_a_little_doubt_does_not_overrule_a_sure_first_look(
    session: Session, scene: str, reranker: RednessReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        reranker, "pairs", lambda text, tiles: np.where(tiles[:, 0, 0, 2] > 150, 0.4, 0.6).astype(np.float32)
    )
    blue = set(ids(search(session, scene, text="blue"))[:2])
    assert blue == {37, 38}
    assert set(ids(search(session, scene, text="blue", rerank=True))[:2]) == blue


def test_log_odds_stay_finite() -> None:
    found = log_odds(np.array([0.0, 0.5, 1.0], np.float32))
    assert np.allclose(found, [-16.1, 0, 16.1], atol=0.2)


# ---- which model an index was made with ----


def test_indexes_of_two_models_are_refused_with_both_named(session: Session, tmp_path: Path) -> None:
    one = index(session, write_scene(tmp_path / "one.tif"), "compact")
    two = index(session, write_scene(tmp_path / "two.tif"), "galr")
    with pytest.raises(
        QueryError, match=r"one\.tif\.rsidx with compact and two\.tif\.rsidx with galr"
    ) as error:
        search(session, one, two, text="red")
    assert "same model" in error.value.hint
    assert [search(session, name, text="red")["model"] for name in (one, two)] == ["compact", "galr"]


def test_an_index_whose_model_is_gone_names_it(
    session: Session, scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, device: str = "auto") -> None:
        raise ModelError("Its weights are not here.", "Pick the file.")

    monkeypatch.setattr(registry, "load", refuse)
    with pytest.raises(ModelError, match=r"scene\.tif\.rsidx was made with compact") as error:
        search(Session(), scene, text="red")
    assert error.value.hint == "Pick the file."
