"""Pointing at the thing inside the tiles of a result, as the engine does it for its clients."""

from __future__ import annotations

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rs_text_search_plugin.models import registry

from rs_text_search_plugin.contracts.errors import Cancelled, QueryError
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.service.operations import call
from rs_text_search_plugin.engine.service.session import Session
from tests.engine.fakes import PALETTE, ColourEncoder
from tests.engine.rasters import UTM, write_tiled

TILE = 96
RED = (132, 156, 144, 168)
"""Left, top, right, bottom px of the red square."""


@pytest.fixture
def session(monkeypatch):
    monkeypatch.setattr(registry, "load", lambda name="compact", device="auto": ColourEncoder(name=name))
    return Session()


@pytest.fixture
def raster(tmp_path):
    picture = np.full((3, 288, 288), 128, np.uint8)
    left, top, right, bottom = RED
    picture[:, top:bottom, left:right] = np.array(PALETTE["red"], np.uint8)[:, None, None]
    return write_tiled(tmp_path / "scene.tif", picture)


@pytest.fixture
def result(session, raster):
    made = call(session, "index", {"source": str(raster), "tile_px": TILE}, Job())
    return call(session, "search", {"indexes": [made["index"]], "text": "red"}, Job())


def on_the_map(x, y):
    return 500_000 + x / 2, 5_000_000 - y / 2


def test_the_point_and_the_box_lie_on_the_thing(session, result):
    found = call(session, "zoom", {"result": result["result"], "top": 1}, Job())
    (point,) = found["points"]
    left, top, right, bottom = RED
    (x0, y0), (x1, y1) = on_the_map(left, top), on_the_map(right, bottom)
    assert found["complete"]
    assert x0 <= point["x"] <= x1
    assert y1 <= point["y"] <= y0
    assert shapely.Polygon(point["corners"]).contains(shapely.Point(point["x"], point["y"]))
    assert point["score"] >= result["matches"][0]["score"]


def test_relevance_is_a_raster_over_the_tile(session, result):
    found = call(session, "zoom", {"result": result["result"], "top": 1, "relevance": True}, Job())
    (point,) = found["points"]
    with rasterio.open(point["relevance"]) as file:
        grid, bounds = file.read(1), file.bounds
    corners = np.array(result["matches"][0]["corners"])
    assert np.allclose([bounds.left, bounds.top], corners[0])
    assert np.allclose([bounds.right, bounds.bottom], corners[2])
    assert (grid.min(), grid.max()) == (0, 1)


def test_boxes_are_written(session, result, tmp_path):
    asked = {"result": result["result"], "top": 3, "path": str(tmp_path / "boxes.gpkg")}
    found = call(session, "zoom", asked, Job())
    frame = pyogrio.read_info(tmp_path / "boxes.gpkg")
    assert frame["features"] == len(found["points"]) == 3
    assert frame["crs"] == UTM
    assert found["files"] == [str(tmp_path / "boxes.gpkg")]


def test_when_the_time_is_up_it_says_so(session, result):
    found = call(session, "zoom", {"result": result["result"], "seconds": 0}, Job())
    assert not found["complete"]


def test_it_can_be_cancelled(session, result):
    with pytest.raises(Cancelled):
        call(session, "zoom", {"result": result["result"]}, Job(cancelled=lambda: True))


def test_a_raster_that_is_gone_is_named(session, result, raster):
    raster.unlink()
    found = call(session, "zoom", {"result": result["result"], "top": 2}, Job())
    assert found["points"] == []
    assert "scene.tif" in found["unread"][0]


def test_a_forgotten_result_is_an_error(session):
    with pytest.raises(QueryError, match="no longer holds"):
        call(session, "zoom", {"result": "gone"}, Job())
