"""An index that version 0.1.0 made opens and answers as it did then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.index import store
from rs_text_search_plugin.engine.index.meta import read_meta
from rs_text_search_plugin.engine.index.part_reader import read_note
from rs_text_search_plugin.engine.index.status import state
from rs_text_search_plugin.engine.search.search import Limits, search
from tests.engine.fakes import ColourEncoder

MADE = Path(__file__).parent / "made_by_0_1_0"


@pytest.fixture
def folder(tmp_path):
    """A copy, as opening an index writes caches into it."""
    return Path(shutil.copytree(MADE, tmp_path / "scene.tif.rsidx"))


def test_it_answers_the_same(folder):
    found = search([store.open_index(folder)], ColourEncoder(size=32), Query(text="red"), Limits(top=8))
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    assert [[m.id, m.score, m.region, [list(c) for c in m.corners]] for m in found.matches] == expected


def test_it_is_complete(folder):
    assert state(folder)["state"] == "complete"


def test_its_parts_belong_to_it(folder):
    """Else --resume would make them again."""
    meta = read_meta(folder)
    assert {read_note(file).key for file in store.part_files(folder, meta)} == {meta.key}
