import numpy as np
import pytest
from rs_text_search_plugin.models import registry

from rs_text_search_plugin.contracts.protocols import SpatialEncoder
from tests.models.golden import TEXTS, pictures


@pytest.fixture(scope="module")
def shipped():
    return registry.load("compact", "cpu")


def test_places_add_up_to_the_vector(shipped):
    system, tiles = shipped.towers.system, pictures()[:4]
    maps = shipped.towers.runner(to_tensor(tiles))
    places, whole = system.image_head.parts(maps.last.float(), maps.middle.float().mean(1))
    vectors = (whole / whole.norm(dim=1, keepdim=True)).detach().numpy()
    assert places.shape[:2] == (4, 36)
    assert (vectors * shipped.images(tiles)).sum(1).min() > 0.999


def test_what_is_in_a_corner_is_relevant_there(shipped):
    assert isinstance(shipped, SpatialEncoder)
    tile = np.full((1, 192, 192, 3), 110, np.uint8)
    tile[0, :64, :64] = pictures()[0, :64, :64]
    wanted = shipped.images(np.tile(tile[:, :64, :64], (1, 3, 3, 1)))[0]
    _, (shares,) = shipped.relevance(tile, wanted)
    assert shares.shape == (6, 6)
    assert np.unravel_index(shares.argmax(), shares.shape)[0] < 2
    assert np.unravel_index(shares.argmax(), shares.shape)[1] < 2


def test_relevance_takes_as_many_tiles_as_come(shipped):
    query = shipped.texts([TEXTS[0]])[0]
    tiles = pictures()
    cosines, shares = shipped.relevance(tiles, query)
    assert shares.shape == (20, 6, 6)
    np.testing.assert_allclose(cosines, shipped.images(tiles) @ query, atol=0.02)
    np.testing.assert_allclose(shares[3], shipped.relevance(tiles[3:4], query)[1][0], atol=0.02)


def to_tensor(tiles):
    import torch  # noqa: PLC0415

    return torch.from_numpy(tiles.copy())
