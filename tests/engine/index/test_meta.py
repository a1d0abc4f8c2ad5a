"""Records of an index that are wrong, whether by accident or on purpose, are refused; none hides another index."""

from __future__ import annotations

import json

import pytest

from rs_text_search_plugin.contracts.errors import IndexStoreError
from rs_text_search_plugin.engine.index.meta import read_meta
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.index.status import state
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.service.operations import call
from rs_text_search_plugin.engine.service.session import Session
from tests.engine.fakes import ColourEncoder
from tests.engine.rasters import painted, write


@pytest.fixture
def folder(tmp_path):
    raster = write(tmp_path / "scene.tif", painted(128, 128))
    return index(str(raster), ColourEncoder(size=32), IndexOptions(tile_px=32)).index


def change(folder, **values):
    """Write other values into the record as a stranger would: without a checksum, as version 0.1.0 had none."""
    file = folder / "meta.json"
    old = {name: value for name, value in json.loads(file.read_text("utf-8")).items() if name != "checksum"}
    file.write_text(json.dumps(old | values), "utf-8")


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return {"type": "Polygon", "coordinates": value}


HUGE = {"width": 2**31 - 1, "height": 2**31 - 1}
GRID = {"tile_w": 2, "tile_h": 2, "step_x": 2, "step_y": 2}


@pytest.mark.parametrize(
    "values",
    [
        {"source": None},
        {"source": 7},
        {"parts": ["x"]},
        {"parts": [-1]},
        {"parts": [0, 0]},
        {"parts": [1, 0]},
        {"parts": {"0": 1}},
        {"transform": [0.5, 0, 1]},
        {"transform": [0.5, 0, 1, 0, -0.5, "x"]},
        {"transform": [float("nan"), 0, 1, 0, -0.5, 1]},
        {"transform": None},
        {"width": 0},
        {"width": 1e400},
        {"bands": []},
        {"bands": [0]},
        {"stretch": [[0, 255], [0]]},
        {"stretch": [[0, 255], [0, 255]]},
        {"lattice": {"width": 128}},
        {"lattice": {**GRID, "width": 64, "height": 64}},
        {"lattice": {**GRID, **HUGE}, **HUGE},
        {"lattice": {"width": 128, "height": 128, "tile_w": 512, "tile_h": 512, "step_x": 1, "step_y": 1}},
        {"levels": 99},
        {"levels": 6},
        {"dim": 0},
        {"dim": 10**9},
        {"dim": "16"},
        {"planned": 10**12},
        {"overlap": "0.5"},
        {"factor": 0},
        {"crs": "https://example.org/crs"},
        {"crs": "http:evil"},
        {"area_crs": "/etc/passwd"},
        {"model": "/home/someone/model.toml"},
        {"model": "../model"},
        {"model": "model.toml"},
        {"model": "compact.safetensors"},
        {"area": nested(20)},
        {"area": nested(600)},
        {"unreadable": [{"window": [0, 0, 1], "reason": ""}]},
        {"unreadable": [1]},
        {"badges": "no CRS"},
        {"complete": "yes"},
        {"extra": 1},
    ],
    ids=lambda values: str(values)[:50],
)
def test_a_wrong_record_is_refused_and_stays_its_own_problem(folder, values):
    change(folder, **values)
    assert state(folder)["state"] == "damaged"
    with pytest.raises(IndexStoreError, match="is damaged") as caught:
        read_meta(folder)
    assert "--restart" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"a": ' * 50_000, "\xff", "[" * 100_000], ids=lambda text: text[:6]
)
def test_what_is_no_record(folder, text):
    (folder / "meta.json").write_text(text, "latin-1")
    assert state(folder)["state"] == "damaged"


def test_a_record_of_gigabytes_is_not_read(folder):
    with (folder / "meta.json").open("r+b") as file:
        file.truncate(10**10)  # sparse: it takes no room on the disk
    assert "more than" in state(folder)["detail"]


def test_a_bad_index_does_not_hide_a_good_one(folder, tmp_path):
    other = write(tmp_path / "other.tif", painted(128, 128))
    good = index(str(other), ColourEncoder(size=32), IndexOptions(tile_px=32)).index
    change(folder, source=None)
    with Session() as session:
        found = call(session, "info", {"sources": [str(tmp_path / "scene.tif"), str(other)]}, Job())
    assert [one["state"] for one in found["indexes"]] == ["damaged", "complete"]
    assert found["indexes"][1]["index"] == str(good)


def test_a_record_without_checksum_is_one_of_an_older_version(folder):
    before = read_meta(folder)
    change(folder)
    assert read_meta(folder) == before
