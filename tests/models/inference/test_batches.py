"""Out of memory: the batch is halved, stays halved, and nothing is lost or made twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rs_text_search_plugin.models.inference import encoder
from rs_text_search_plugin.models.inference.batches import Batches, joined

from rs_text_search_plugin.contracts.errors import ModelError

TILES = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)


class Network:
    """Holds at most `room` tiles; the sizes it was given are in `tried`."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.tried: list[int] = []

    def __call__(self, tiles: np.ndarray) -> np.ndarray:
        self.tried.append(len(tiles))
        if len(tiles) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return tiles.reshape(len(tiles)).astype(np.float32)


def test_a_batch_that_does_not_fit_is_halved_and_stays_so() -> None:
    batches, network = Batches(8), Network(room=3)
    assert joined(batches.run(network, TILES)).tolist() == list(range(10))
    assert network.tried == [8, 4, 2, 2, 2, 2, 2]
    assert batches.size == 2


def test_a_device_without_room_for_one_tile_is_a_clear_error() -> None:
    with pytest.raises(ModelError, match="single tile") as caught:
        Batches(2).run(Network(room=0), TILES)
    assert "CPU" in caught.value.hint


def test_no_tiles_make_no_rows() -> None:
    assert joined(Batches(4).run(Network(room=4), TILES[:0]), 5).shape == (0, 5)


def test_an_unknown_kind_of_model_is_an_error() -> None:
    entry = {"name": "mine", "kind": "sytem", "size_px": 224, "dim": 8}
    with pytest.raises(ModelError, match="unknown kind, 'sytem'"):
        encoder.build(entry, Path("mine.safetensors"), "cpu")
