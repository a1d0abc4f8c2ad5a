"""kill -9 at any moment and two processes at once: the result is as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rs_text_search_plugin.models import registry

from rs_text_search_plugin.contracts.errors import IndexStoreError
from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.index.status import state
from rs_text_search_plugin.engine.index.store import open_index
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.search.search import Limits, search
from rs_text_search_plugin.engine.service.operations import call
from rs_text_search_plugin.engine.service.session import Session
from tests.engine.fakes import ColourEncoder
from tests.engine.rasters import painted, write_tiled

ROOT = Path(__file__).parents[3]
SLOWLY = """
import sys
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from tests.engine.fakes import ColourEncoder
index(sys.argv[1], ColourEncoder(size=32, slow=float(sys.argv[2])), IndexOptions(tile_px=32, overlap=0.5))
"""
OPTIONS = IndexOptions(tile_px=32, overlap=0.5)


@pytest.fixture
def raster(tmp_path):
    return write_tiled(tmp_path / "scene.tif", painted(400, 272))  # 24 x 16 tiles in 6 parts


@pytest.fixture
def encoder():
    return ColourEncoder(size=32)


@pytest.fixture
def elsewhere(tmp_path, encoder):
    """The index of the same raster, made without a break."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    path = write_tiled(folder / "scene.tif", painted(400, 272))
    return open_index(index(str(path), encoder, OPTIONS).index)


def started(raster, slow):
    """Another process that indexes the raster, `slow` s a batch."""
    return subprocess.Popen([sys.executable, "-c", SLOWLY, str(raster), str(slow)], cwd=ROOT)


def wait_for(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the other process ended too early"
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def found(opened, encoder):
    """All that a search says, but for the folder's name and the time it took."""
    result = search([opened], encoder, Query(text="red, not blue"), Limits(top=50))
    matches = [(m.rank, m.id, m.score, m.region, m.window, m.corners) for m in result.matches]
    return (
        matches,
        result.verdict,
        result.histogram,
        result.strong,
        result.possible,
        result.scores[0].tobytes(),
    )


@pytest.mark.parametrize("parts", [0, 1, 3])
def test_killed_and_resumed_is_as_never_interrupted(raster, encoder, elsewhere, parts):
    folder = raster.with_name("scene.tif.rsidx")
    other = started(raster, 0.2)
    wait_for(
        lambda: (folder / "request.json").is_file() and len(list(folder.glob("part-*.parquet"))) >= parts,
        other,
    )
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert state(raster)["state"] == "unfinished"
    report = index(str(raster), encoder, OPTIONS)
    assert report.complete
    assert 64 * parts <= report.resumed < report.tiles
    resumed = open_index(folder)
    assert np.array_equal(resumed.ids, elsewhere.ids)
    assert resumed.vectors.tobytes() == elsewhere.vectors.tobytes()
    assert found(resumed, encoder) == found(elsewhere, encoder)
    assert not list(folder.glob("*.part"))


def test_the_second_process_is_told_and_nothing_is_harmed(raster, encoder, elsewhere):
    folder = raster.with_name("scene.tif.rsidx")
    other = started(raster, 0.1)
    wait_for(lambda: list(folder.glob("part-*.parquet")), other)
    for mode in ("auto", "resume", "restart"):
        with pytest.raises(IndexStoreError, match=f"process {other.pid}") as caught:
            index(str(raster), encoder, IndexOptions(tile_px=32, overlap=0.5, mode=mode))
        assert caught.value.hint
    assert other.wait(60) == 0
    assert open_index(folder).vectors.tobytes() == elsewhere.vectors.tobytes()


def test_an_unfinished_index_is_searched_as_far_as_it_goes(raster, encoder, elsewhere, monkeypatch):
    folder = raster.with_name("scene.tif.rsidx")
    other = started(raster, 0.2)
    wait_for(lambda: len(list(folder.glob("part-*.parquet"))) >= 2, other)
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    opened = open_index(folder)
    assert not opened.meta.complete
    assert 128 <= len(opened.ids) < len(elsewhere.ids)
    assert np.array_equal(opened.vectors, elsewhere.vectors[: len(opened.ids)])
    assert search([opened], encoder, Query(text="red")).matches
    assert state(folder)["tiles"] == len(opened.ids)
    monkeypatch.setattr(registry, "load", lambda model, device: encoder)
    with Session() as session:
        answer = call(session, "search", {"indexes": [str(folder)], "text": "red"}, Job())
    share = len(opened.ids) / len(elsewhere.ids)
    assert answer["searched"] == pytest.approx(share)
    assert answer["verdict"].endswith(
        f"Searched {100 * share:.0f} % so far; not all of scene.tif is indexed."
    )


def test_indexing_again_does_nothing_twice(raster, encoder):
    first = index(str(raster), encoder, OPTIONS)
    encoder.batches.clear()
    again = index(str(raster), encoder, OPTIONS)
    assert (again.resumed, again.tiles, encoder.batches) == (first.tiles, first.tiles, [])
