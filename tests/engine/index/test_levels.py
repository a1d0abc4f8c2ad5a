import numpy as np
import pytest

from rs_text_search_plugin.contracts.errors import RasterError
from rs_text_search_plugin.engine.index.grid import lattice
from rs_text_search_plugin.engine.index.levels import Levels, level_count


def test_one_level_has_the_ids_and_windows_of_its_lattice():
    finest = lattice(1000, 700, 100, 100)
    one = Levels(finest)
    assert len(one) == len(finest) == 70
    assert one.windows(np.array([0, 69])).tolist() == [[0, 0, 100, 100], [900, 600, 100, 100]]


def test_levels_are_numbered_one_after_the_other():
    three = Levels(lattice(800, 400, 100, 100), 3)
    assert three.starts.tolist() == [0, 32, 40, 42]
    assert three.of(np.array([0, 31, 32, 39, 40, 41])).tolist() == [0, 0, 1, 1, 2, 2]
    assert three.windows(np.array([33, 41])).tolist() == [[200, 0, 200, 200], [400, 0, 400, 400]]
    rows, cols = three.rows_and_columns(np.array([9, 37, 41]))
    assert rows.tolist() == [1, 1, 0]
    assert cols.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("width", "height"), [(1000, 700), (450, 460), (100, 100), (1999, 731)])
def test_every_level_covers_the_raster(width, height):
    made = Levels(lattice(width, height, 100, 100), level_count(lattice(width, height, 100, 100), None, 30.0))
    for number, (start, end) in enumerate(zip(made.starts, made.starts[1:], strict=False)):
        covered = np.zeros((height, width), bool)
        for x, y, w, h in made.windows(np.arange(start, end)):
            assert (w, h) == (100 * 2**number,) * 2
            assert x + w <= width
            assert y + h <= height
            covered[y : y + h, x : x + w] = True
        assert covered.all()


@pytest.mark.parametrize("count", [2, 3, 4])
def test_levels_cost_at_most_four_tenths_more_on_a_large_raster(count):
    finest = lattice(100 * 64, 100 * 64, 100, 100)
    assert len(Levels(finest, count)) <= 1.4 * len(finest)


@pytest.mark.parametrize(
    ("tile_m", "count"), [(30, 4), (38.4, 4), (57.6, 3), (100, 3), (101, 2), (192, 2), (400, 1), (1920, 1)]
)
def test_auto_levels_reach_as_far_as_the_model_understands(tile_m, count):
    assert level_count(lattice(10_000, 10_000, 192, 192), None, tile_m) == count


def test_auto_levels_fit_into_the_raster_and_need_metres():
    assert level_count(lattice(500, 390, 192, 192), None, 30.0) == 2
    assert level_count(lattice(5000, 5000, 192, 192), None, None) == 1


def test_levels_that_do_not_fit_are_refused():
    with pytest.raises(RasterError, match="5 levels do not fit") as error:
        level_count(lattice(1000, 1000, 192, 192), 5, 38.4)
    assert "1 to 3 levels" in error.value.hint
