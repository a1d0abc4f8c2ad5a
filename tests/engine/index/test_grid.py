"""The arithmetic of tiles."""

import numpy as np
import pytest

from rs_text_search_plugin.contracts.errors import RasterError
from rs_text_search_plugin.contracts.messages import Window
from rs_text_search_plugin.engine.index.grid import (
    lattice,
    tile_corners,
    tile_window,
    tile_windows,
    window_corners,
)

NORTH_UP = (0.5, 0.0, 1000.0, 0.0, -0.5, 2000.0)
ROTATED = (0.4, 0.3, 1000.0, 0.3, -0.4, 2000.0)


@pytest.mark.parametrize(
    ("width", "height", "tile", "overlap", "cols", "rows"),
    [
        (224, 224, 224, 0.0, 1, 1),
        (225, 224, 224, 0.0, 2, 1),
        (448, 448, 224, 0.0, 2, 2),
        (449, 447, 224, 0.0, 3, 2),
        (448, 448, 224, 0.5, 3, 3),
        (1000, 500, 100, 0.0, 10, 5),
        (1000, 500, 100, 0.9, 91, 41),
        (100_000, 100_000, 224, 0.0, 447, 447),
    ],
)
def test_rows_and_columns(width, height, tile, overlap, cols, rows):
    grid = lattice(width, height, tile, tile, overlap)
    assert (grid.cols, grid.rows, len(grid)) == (cols, rows, cols * rows)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize(("width", "height"), [(100, 70), (64, 64), (97, 131)])
def test_tiles_cover_every_pixel_and_none_reaches_out(width, height, overlap):
    grid = lattice(width, height, 32, 40, overlap)
    covered = np.zeros((height, width), dtype=bool)
    for x, y, w, h in tile_windows(grid, np.arange(len(grid))):
        assert 0 <= x <= width - w
        assert 0 <= y <= height - h
        covered[y : y + h, x : x + w] = True
    assert covered.all()


def test_last_row_and_column_are_shifted_inward():
    assert tile_window(lattice(100, 90, 32, 32), 2, 3) == Window(68, 58, 32, 32)


def test_many_windows_at_once_agree_with_one_by_one():
    grid = lattice(100, 90, 32, 30, 0.3)
    places = tile_windows(grid, np.arange(len(grid)))
    for row in range(grid.rows):
        for col in range(grid.cols):
            assert Window(*places[row * grid.cols + col].tolist()) == tile_window(grid, row, col)


def test_footprint_runs_clockwise_from_the_upper_left():
    corners = window_corners(NORTH_UP, Window(10, 20, 4, 2))
    assert corners == ((1005, 1990), (1007, 1990), (1007, 1989), (1005, 1989))


def test_footprint_of_a_rotated_raster_is_no_box():
    corners = np.array(window_corners(ROTATED, Window(0, 0, 10, 10)))
    assert corners.tolist() == [[1000, 2000], [1004, 2003], [1007, 1999], [1003, 1996]]
    assert np.array_equal(tile_corners(ROTATED, np.array([[0, 0, 10, 10]], np.int32))[0], corners)


@pytest.mark.parametrize("tile", [101, 71, 0, -3])
def test_a_tile_must_fit_into_the_raster(tile):
    with pytest.raises(RasterError, match="does not fit") as caught:
        lattice(100, 70, tile, tile)
    assert "at most 70 px" in caught.value.hint


@pytest.mark.parametrize("overlap", [-0.1, 0.91, 1.0])
def test_overlap_must_leave_a_step(overlap):
    with pytest.raises(RasterError, match="overlap"):
        lattice(100, 70, 32, 32, overlap)
