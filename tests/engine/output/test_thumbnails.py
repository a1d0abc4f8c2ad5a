from __future__ import annotations

import numpy as np
import pytest
import rasterio

from rs_text_search_plugin.contracts.errors import IndexStoreError, RasterError
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.index.store import open_index
from rs_text_search_plugin.engine.output.thumbnails import thumbnails
from tests.engine.fakes import ColourEncoder, write_scene


@pytest.fixture
def opened(tmp_path):
    raster = write_scene(tmp_path / "scene.tif")
    return open_index(index(str(raster), ColourEncoder(size=32), IndexOptions(tile_px=32)).index)


def test_one_png_a_tile_of_the_size_asked_for(opened, tmp_path):
    red, blue = thumbnails(opened, [10, 37], 48, tmp_path)
    with rasterio.open(red) as file:
        image = file.read()
    assert (file.driver, image.shape) == ("PNG", (3, 48, 48))
    assert image.mean(axis=(1, 2)).argmax() == 0
    with rasterio.open(blue) as file:
        assert file.read().mean(axis=(1, 2)).argmax() == 2


def test_what_is_there_is_not_read_again(opened, tmp_path):
    first = thumbnails(opened, [10], 48, tmp_path)[0]
    first.write_bytes(b"kept")
    again = thumbnails(opened, [10, 11], 48, tmp_path)
    assert again[0].read_bytes() == b"kept"
    assert again[1].stat().st_size > 100


def test_a_tile_that_is_not_there_and_a_raster_that_is_gone(opened, tmp_path):
    with pytest.raises(IndexStoreError, match="has no tile 999"):
        thumbnails(opened, [999], 48, tmp_path)
    (tmp_path / "scene.tif").unlink()
    with pytest.raises(RasterError):
        thumbnails(opened, [np.int64(3)], 48, tmp_path)
