"""Change in words: what gained and what lost, and what must not count as change."""

from __future__ import annotations

import numpy as np
import pytest
from rasterio.transform import from_origin

from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.index.store import open_index
from rs_text_search_plugin.engine.search.change import changes, shifted
from tests.engine.fakes import PALETTE, ColourEncoder
from tests.engine.rasters import write_tiled

TILE = 32
RED = Query(text="red")


@pytest.fixture
def encoder():
    return ColourEncoder(size=TILE)


def ground(*red, size=256):
    """Grey ground with red squares of one tile at (x, y) px."""
    picture = np.full((3, size, size), 128, np.uint8)
    for x, y in red:
        picture[:, y : y + TILE, x : x + TILE] = np.array(PALETTE["red"], np.uint8)[:, None, None]
    return picture


def made(path, picture, encoder, overlap=0.0, **kind):
    return open_index(
        index(
            str(write_tiled(path, picture, **kind)), encoder, IndexOptions(tile_px=TILE, overlap=overlap)
        ).index
    )


def test_what_came_and_what_went_is_told_apart(tmp_path, encoder):
    before = made(tmp_path / "a.tif", ground((32, 32), (96, 160)), encoder)
    after = made(tmp_path / "b.tif", ground((32, 32), (160, 64)), encoder)
    gained, lost = changes(before, after, encoder, RED, lambda: False)
    assert after.windows[gained[0].position].tolist()[:2] == [160, 64]
    assert before.windows[lost[0].position].tolist()[:2] == [96, 160]
    assert gained[0].change > 50
    assert gained[0].checked
    assert all(tile.change < 20 for tile in (*gained[1:], *lost[1:]))


@pytest.mark.parametrize("apart", [0, 4])
def test_nothing_changed_is_no_change(tmp_path, encoder, apart):
    """The same ground, moved by an eighth of a tile."""
    before = made(tmp_path / "a.tif", ground((64, 64)), encoder)
    after = made(tmp_path / "b.tif", ground((64 + apart, 64)), encoder)
    gained, lost = changes(before, after, encoder, RED, lambda: False)
    assert max((tile.change for tile in (*gained, *lost)), default=0) < 20


def test_other_lattices_and_places_are_brought_together(tmp_path, encoder):
    before = made(tmp_path / "a.tif", ground((64, 64)), encoder, overlap=0.5)
    moved = from_origin(500_000 + 16, 5_000_000 - 16, 0.5, 0.5)  # begins 32 px further in
    after = made(tmp_path / "b.tif", ground((32, 32), (160, 96), size=224), encoder, transform=moved)
    gained, lost = changes(before, after, encoder, RED, lambda: False)
    assert after.windows[gained[0].position].tolist()[:2] == [160, 96]
    assert gained[0].change > 50
    assert all(tile.change < 50 for tile in (*gained[1:], *lost))


def test_rasters_of_different_places_are_refused(tmp_path, encoder):
    before = made(tmp_path / "a.tif", ground(), encoder)
    after = made(tmp_path / "b.tif", ground(), encoder, transform=from_origin(900_000, 5_000_000, 0.5, 0.5))
    with pytest.raises(QueryError, match="share no ground"):
        changes(before, after, encoder, RED, lambda: False)


def test_a_raster_without_crs_is_not_laid_over_one_with_it(tmp_path, encoder):
    before = made(tmp_path / "a.tif", ground(), encoder, crs=None)
    after = made(tmp_path / "b.tif", ground(), encoder)
    with pytest.raises(QueryError, match="has a CRS"):
        changes(before, after, encoder, RED, lambda: False)


def test_a_raster_that_is_gone_leaves_candidates_unchecked(tmp_path, encoder):
    before = made(tmp_path / "a.tif", ground(), encoder)
    after = made(tmp_path / "b.tif", ground((160, 64)), encoder)
    (tmp_path / "a.tif").unlink()
    gained, _ = changes(before, after, encoder, RED, lambda: False)
    assert not gained[0].checked
    assert gained[0].change > 50


def test_windows_stay_inside():
    assert {(w.x, w.y, w.width) for w in shifted(np.array([-2.0, 0, 30, 32]), 100, 100)} == {
        (0, 0, 32),
        (2, 0, 32),
        (0, 4, 32),
    }
