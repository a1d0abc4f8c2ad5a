import numpy as np
import pytest

from rs_text_search_plugin.engine.search.calibration import Line
from rs_text_search_plugin.engine.search.zoom import CELLS, CalibratedQuery
from tests.engine.fakes import ColourEncoder

LINE = Line(slope=10.0, offset=-5.0)


def scene(side=384, at=(240, 144), size=48):
    """A grey tile with a red square whose upper left px is `at` (x, y)."""
    tile = np.full((side, side, 3), 128, np.uint8)
    x, y = at
    tile[y : y + size, x : x + size] = (255, 0, 0)
    return tile


class Spatial(ColourEncoder):
    """Says of each ninth of a tile how red it is."""

    def relevance(self, tiles, query):
        cosines = self.images(tiles) @ query
        side = tiles.shape[1] // 6 * 6
        red = (tiles[:, :side, :side, 0] > 200).reshape(len(tiles), 6, side // 6, 6, side // 6)
        return cosines, red.mean((2, 4)).astype(np.float32)


@pytest.fixture
def calibrated():
    encoder = ColourEncoder()
    return CalibratedQuery(encoder, encoder.texts(["red"])[0], LINE)


@pytest.mark.parametrize("at", [(0, 0), (240, 48), (336, 336), (96, 288)])
def test_the_point_lies_on_the_thing(at):
    encoder = Spatial()
    found = CalibratedQuery(encoder, encoder.texts(["red"])[0], LINE).point(scene(at=at))
    assert at[0] <= found.x * 384 <= at[0] + 48
    assert at[1] <= found.y * 384 <= at[1] + 48


def test_an_encoder_of_whole_windows_points_too(calibrated):
    found = calibrated.point(scene())
    assert 240 <= found.x * 384 <= 288
    assert 144 <= found.y * 384 <= 192


def test_the_box_holds_the_point_and_most_of_the_thing(calibrated):
    found = calibrated.point(scene())
    left, top, right, bottom = (side * 384 for side in found.box)
    assert left <= found.x * 384 <= right
    assert top <= found.y * 384 <= bottom
    assert left <= 252
    assert right >= 276
    assert (right - left) * (bottom - top) < 384**2 / 4


def test_a_small_thing_scores_higher_in_its_own_window(calibrated):
    tile = scene()
    whole = float(calibrated.encoder.images(tile[None])[0] @ calibrated.query)
    assert calibrated.point(tile).score > 100 / (1 + np.exp(-(10 * whole - 5)))


def test_relevance_is_a_map_of_shares(calibrated):
    found = calibrated.point(scene()).relevance
    assert found.shape == (CELLS, CELLS)
    assert (found.min(), found.max()) == (0, 1)


def test_an_encoder_that_tells_where_points_more_closely():
    encoder = Spatial()
    found = CalibratedQuery(encoder, encoder.texts(["red"])[0], LINE).point(scene(size=24))
    left, top, right, bottom = found.box
    assert (right - left) * (bottom - top) < (80 / 384) ** 2
    assert 240 <= found.x * 384 <= 264
    assert 144 <= found.y * 384 <= 168
