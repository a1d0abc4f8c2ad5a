"""Images as queries: alone, with words, and against."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.index.store import open_index
from rs_text_search_plugin.engine.search.query.images import image_vectors, middle_square
from rs_text_search_plugin.engine.search.search import search
from tests.engine.fakes import PALETTE, ColourEncoder
from tests.engine.rasters import write_tiled

TILE = 32


@pytest.fixture
def encoder():
    return ColourEncoder(size=TILE)


@pytest.fixture
def opened(tmp_path, encoder):
    """Grey ground with a red tile at id 9 and a blue one at id 30."""
    picture = np.full((3, 256, 256), 128, np.uint8)
    for tile, colour in ((9, "red"), (30, "blue")):
        y, x = (place * TILE for place in divmod(tile, 8))
        picture[:, y : y + TILE, x : x + TILE] = np.array(PALETTE[colour], np.uint8)[:, None, None]
    path = write_tiled(tmp_path / "scene.tif", picture)
    return open_index(index(str(path), encoder, IndexOptions(tile_px=TILE)).index)


def image(path, colour, width=100, height=60):
    """A picture of a colour with black at both ends, which are no part of its middle square."""
    pixels = np.zeros((3, height, width), np.uint8)
    edge = (width - height) // 2
    pixels[:, :, edge : width - edge] = np.array(PALETTE[colour], np.uint8)[:, None, None]
    with rasterio.open(path, "w", driver="PNG", width=width, height=height, count=3, dtype="uint8") as file:
        file.write(pixels)
    return str(path)


def test_an_image_alone_finds_its_kind(opened, encoder, tmp_path):
    found = search([opened], encoder, Query(like_images=(image(tmp_path / "a.png", "blue"),)))
    assert found.matches[0].id == 30
    assert found.query == "[1 like]"


def test_an_image_against_pushes_its_kind_down(opened, encoder, tmp_path):
    both = Query(text="red or blue", unlike_images=(image(tmp_path / "a.png", "red"),))
    assert search([opened], encoder, both).matches[0].id == 30


def test_the_middle_square_counts(tmp_path, encoder):
    square = middle_square(image(tmp_path / "a.png", "red"), 16)
    assert square.shape == (16, 16, 3)
    assert square.reshape(-1, 3).std(0).max() < 5
    assert image_vectors(encoder, []).shape == (0, encoder.dim)


@pytest.mark.parametrize("file", ["missing.png", "https://example.org/a.png"])
def test_what_is_no_image_is_refused(encoder, file):
    with pytest.raises(QueryError):
        image_vectors(encoder, [file])


def test_a_text_file_is_refused(tmp_path, encoder):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(QueryError, match="cannot be used"):
        image_vectors(encoder, [str(tmp_path / "a.png")])
