"""An index of several levels: the right pixels, one answer a place, resumed like any other."""

from __future__ import annotations

import numpy as np
import pytest

from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.index.planner import IndexOptions, index, plan
from rs_text_search_plugin.engine.index.status import state
from rs_text_search_plugin.engine.index.store import open_index
from rs_text_search_plugin.engine.search.regions import heat
from rs_text_search_plugin.engine.search.search import search
from tests.engine.fakes import PALETTE, ColourEncoder
from tests.engine.rasters import write_tiled

TILE = 32
LEVELS = IndexOptions(tile_px=TILE, levels=3)


@pytest.fixture
def encoder():
    return ColourEncoder(size=TILE)


def picture():
    """256 x 256 px of grey with one small red square and one large blue one."""
    made = np.full((3, 256, 256), 128, np.uint8)
    made[:, 40:56, 104:120] = np.array(PALETTE["red"], np.uint8)[:, None, None]
    made[:, 128:256, 128:256] = np.array(PALETTE["blue"], np.uint8)[:, None, None]
    return made


@pytest.fixture
def raster(tmp_path):
    return write_tiled(tmp_path / "scene.tif", picture())


def test_every_level_is_there_and_holds_its_own_pixels(raster, encoder):
    found = open_index(index(str(raster), encoder, LEVELS).index)
    assert found.ids.tolist() == list(range(64 + 16 + 4))
    assert sorted({int(side) for side in found.windows[:, 2]}) == [32, 64, 128]
    for row in (9, 64 + 7, 64 + 16 + 3):
        x, y, w, h = found.windows[row]
        pixels = picture()[:, y : y + h, x : x + w].transpose(1, 2, 0)[None]
        assert float(found.vectors[row] @ encoder.images(pixels)[0]) > 0.999


def test_the_plan_counts_all_levels(raster, encoder):
    planned = plan(str(raster), LEVELS, encoder)
    assert (planned.tiles, planned.levels, planned.tile_px) == (84, 3, (32, 32))


def test_auto_begins_at_the_least_ground_that_is_understood(raster, encoder):
    planned = plan(str(raster), IndexOptions(levels=None), encoder)  # 32 px at 0.5 m are 16 m
    assert planned.tile_m == 30
    assert planned.levels == 3  # 30, 60, 120 m: 240 m do not fit into 128


def test_a_place_is_told_once_at_the_level_that_fits(raster, encoder):
    found = open_index(index(str(raster), encoder, LEVELS).index)
    (best, *others) = search([found], encoder, Query(text="red")).matches
    assert (best.level, best.window.width) == (0, 32)
    x, y = best.window.x, best.window.y
    assert (x, y) == (96, 32)
    covering = [
        m
        for m in others
        if m.window.x <= x < m.window.x + m.window.width and m.window.y <= y < m.window.y + m.window.height
    ]
    assert covering == []


def test_heat_takes_the_level_where_it_is_highest(raster, encoder):
    found = open_index(index(str(raster), encoder, LEVELS).index)
    scores = np.zeros(84, np.float32)
    scores[0], scores[83] = 90, 70
    cells = heat(found, scores)
    assert cells.shape == (8, 8)
    assert (cells[0, 0], cells[7, 7], cells[0, 7]) == (90, 70, 0)


def test_a_missing_part_of_any_level_is_made_again(raster, encoder):
    folder = index(str(raster), encoder, LEVELS).index
    before = open_index(folder).vectors.copy()
    assert state(folder)["levels"] == 3
    last = sorted(folder.glob("part-*.parquet"))[-1]
    last.unlink()
    report = index(str(raster), encoder, LEVELS)
    assert report.resumed == 80
    np.testing.assert_array_equal(open_index(folder).vectors, before)


def test_one_level_is_the_same_index_as_ever(raster, encoder):
    one = index(str(raster), encoder, IndexOptions(tile_px=TILE)).index
    assert open_index(one).meta.levels == 1
    assert index(str(raster), encoder, IndexOptions(tile_px=TILE, levels=1)).resumed == 64
