"""The table of what is in a raster."""

from __future__ import annotations

import numpy as np
import pytest
from rs_text_search_plugin.models import registry

from rs_text_search_plugin.contracts.errors import Cancelled
from rs_text_search_plugin.engine.__main__ import main
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.search.language import cache
from rs_text_search_plugin.engine.search.vocabulary import Word
from rs_text_search_plugin.engine.service.operations import call
from rs_text_search_plugin.engine.service.session import Session
from tests.engine.fakes import PALETTE, ColourEncoder
from tests.engine.rasters import write_tiled

TILE = 32


@pytest.fixture
def session(monkeypatch, tmp_path):
    words = tuple(Word(name, "object", name, (), np.inf) for name in PALETTE)
    for module in ("vocabulary", "query.embedding"):
        monkeypatch.setattr(f"rs_text_search_plugin.engine.search.{module}.words", lambda: words)
    monkeypatch.setattr(cache, "_known", {})
    monkeypatch.setenv("RS_TEXT_SEARCH_CACHE", str(tmp_path))
    monkeypatch.setattr(registry, "load", lambda name="compact", device="auto": ColourEncoder(name=name))
    return Session()


@pytest.fixture
def folder(session, tmp_path):
    """Grey ground, two touching red tiles, one apart, and a blue one."""
    picture = np.full((3, 512, 512), 128, np.uint8)
    for row, col, colour in ((2, 3, "red"), (2, 4, "red"), (9, 9, "red"), (12, 2, "blue")):
        square = np.s_[:, row * TILE : (row + 1) * TILE, col * TILE : (col + 1) * TILE]
        picture[square] = np.array(PALETTE[colour], np.uint8)[:, None, None]
    path = write_tiled(tmp_path / "scene.tif", picture)
    return call(session, "index", {"source": str(path), "tile_px": TILE}, Job())["index"]


def test_places_tiles_and_area_are_counted(session, folder):
    found = call(session, "contents", {"indexes": [folder]}, Job())
    rows = {row["name"]: row for row in found["rows"]}
    assert (rows["red"]["places"], rows["red"]["tiles"]) == (2, 3)
    assert rows["red"]["area_m2"] == 3 * (TILE * 0.5) ** 2
    assert (rows["blue"]["places"], rows["blue"]["id"]) == (1, 12 * 16 + 2)
    assert found["tiles"] == 256


def test_what_is_in_most_places_comes_first(session, folder):
    rows = call(session, "contents", {"indexes": [folder]}, Job())["rows"]
    assert [row["places"] for row in rows] == sorted((row["places"] for row in rows), reverse=True)


def test_it_can_be_cancelled(session, folder):
    with pytest.raises(Cancelled):
        call(session, "contents", {"indexes": [folder]}, Job(cancelled=lambda: True))


def test_the_command_prints_a_table(session, folder, capsys):
    assert main(["contents", folder]) == 0
    assert "hectares" in capsys.readouterr().out
