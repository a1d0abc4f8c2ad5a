"""Change in words, as the engine and the command line do it."""

from __future__ import annotations

import numpy as np
import pytest
from rs_text_search_plugin.models import registry

from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.engine.__main__ import main
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.service.operations import call
from rs_text_search_plugin.engine.service.session import Session
from tests.engine.fakes import PALETTE, ColourEncoder
from tests.engine.rasters import write_tiled

TILE = 32


@pytest.fixture
def session(monkeypatch):
    monkeypatch.setattr(registry, "load", lambda name="compact", device="auto": ColourEncoder(name=name))
    return Session()


@pytest.fixture
def pair(session, tmp_path):
    """Index folders of grey ground before, and with one red tile after."""
    folders = []
    for name in ("before", "after"):
        picture = np.full((3, 256, 256), 128, np.uint8)
        if name == "after":
            picture[:, 64:96, 160:192] = np.array(PALETTE["red"], np.uint8)[:, None, None]
        path = write_tiled(tmp_path / f"{name}.tif", picture)
        folders.append(call(session, "index", {"source": str(path), "tile_px": TILE}, Job())["index"])
    return folders


def test_places_name_both_tiles_and_scores(session, pair):
    found = call(session, "change", {"before": pair[0], "after": pair[1], "text": "red"}, Job())
    place = found["places"][0]
    assert (place["rank"], place["direction"], place["checked"]) == (1, "gained", True)
    assert (place["index"], place["id"]) == (pair[1], 2 * 8 + 5)
    assert (place["other_index"], place["other_id"]) == (pair[0], 2 * 8 + 5)
    assert place["change"] == pytest.approx(place["score_after"] - place["score_before"], abs=0.02)
    assert found["verdict"].startswith("1 places gained") or found["verdict"].startswith("1 place gained")


def test_the_other_way_round_it_is_lost(session, pair):
    found = call(session, "change", {"before": pair[1], "after": pair[0], "text": "red"}, Job())
    assert found["places"][0]["direction"] == "lost"
    assert found["places"][0]["change"] < -20


def test_what_did_not_change_is_not_listed(session, pair):
    found = call(session, "change", {"before": pair[0], "after": pair[1], "text": "blue"}, Job())
    assert (found["places"], found["verdict"]) == ([], "No place changed.")


def test_without_words_there_is_nothing_to_compare(session, pair):
    with pytest.raises(QueryError, match="nothing to compare"):
        call(session, "change", {"before": pair[0], "after": pair[1], "text": "  "}, Job())


def test_the_command_prints_places(session, pair, capsys):
    assert main(["change", *pair, "red"]) == 0
    assert "-> " in capsys.readouterr().out
