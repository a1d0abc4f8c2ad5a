import numpy as np
import pytest
import torch
from rs_text_search_plugin.models.inference import encoder
from rs_text_search_plugin.models.inference.encoder import TorchEncoder

from rs_text_search_plugin.contracts.protocols import Encoder


class SmallTowers:
    """Holds three tiles at a time, as a small GPU would, and gives their mean colour."""

    about = "a fake"
    room = 3

    def __init__(self):
        self.batches = []

    def images(self, tiles):
        self.batches.append(len(tiles))
        if len(tiles) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return tiles.float().mean((1, 2))

    def texts(self, texts):
        return torch.zeros(len(texts), 3)


@pytest.fixture
def made(monkeypatch):
    monkeypatch.setattr(encoder, "BATCH", {"cpu": 8})
    return TorchEncoder({"name": "small", "size_px": 4}, SmallTowers(), "f" * 64, dim=3, device="cpu")


def tiles(count):
    return np.arange(count * 48, dtype=np.uint8).reshape(count, 4, 4, 3)


def test_an_encoder_tells_its_device_and_batch(made):
    assert isinstance(made, Encoder)
    assert (made.device, made.batch) == ("cpu", 8)


def test_out_of_memory_halves_the_batch_and_loses_no_tile(made):
    found = made.images(tiles(5))
    np.testing.assert_allclose(found, tiles(5).mean((1, 2)), rtol=1e-6)
    assert made.towers.batches == [5, 2, 2, 1]


def test_the_batch_that_fitted_is_remembered(made):
    made.images(tiles(5))
    made.towers.batches.clear()
    made.images(tiles(4))
    assert made.batch == 2
    assert made.towers.batches == [2, 2]
