"""An encoder's calls take turns, in the order of arrival and batch by batch."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np

from rs_text_search_plugin.contracts.protocols import Encoder, SpatialEncoder
from rs_text_search_plugin.engine.service.session import Recent
from rs_text_search_plugin.engine.service.shared_encoder import FairLock, shared
from tests.engine.fakes import ColourEncoder

TILES = np.zeros((40, 16, 16, 3), np.uint8)


def until_one_waits(lock: FairLock) -> None:
    while lock._next_ticket - lock._served < 2:
        time.sleep(0.001)


def test_whoever_waits_comes_before_the_holders_next_turn() -> None:
    lock, order = FairLock(), []

    def other() -> None:
        with lock:
            order.append("other")

    with lock:
        order.append("first")
        thread = threading.Thread(target=other)
        thread.start()
        until_one_waits(lock)
    with lock:
        order.append("again")
    thread.join()
    assert order == ["first", "other", "again"]


@dataclass
class Slow(ColourEncoder):
    """An encoder whose first batch of images waits until it may go on."""

    def __post_init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def images(self, tiles: np.ndarray) -> np.ndarray:
        self.begun.set()
        assert self.go.wait(30)
        return super().images(tiles)


def test_pixels_of_a_query_wait_for_one_batch_and_not_for_the_run() -> None:
    slow = Slow(batch=16)
    encoder = shared(slow)
    run = threading.Thread(target=encoder.images, args=(TILES,))
    query = threading.Thread(target=encoder.images, args=(TILES[:3],))
    run.start()
    assert slow.begun.wait(30)
    query.start()
    until_one_waits(encoder.image_lock)
    slow.go.set()
    run.join()
    query.join()
    assert slow.batches == [16, 3, 16, 8]


def test_a_text_waits_for_no_images() -> None:
    slow = Slow(batch=16)
    encoder = shared(slow)
    run = threading.Thread(target=encoder.images, args=(TILES,))
    run.start()
    assert slow.begun.wait(30)
    assert encoder.texts(["red"]).shape == (1, slow.dim)
    assert slow.batches == []
    slow.go.set()
    run.join()


def test_batches_are_of_the_preferred_size_and_vectors_the_same() -> None:
    bare = ColourEncoder(batch=16)
    tiles = np.random.default_rng(0).integers(0, 256, TILES.shape, dtype=np.uint8)
    assert np.array_equal(shared(bare).images(tiles), ColourEncoder().images(tiles))
    assert bare.batches == [16, 16, 8]
    assert shared(bare).images(TILES[:0]).shape == (0, bare.dim)


def test_it_is_what_it_wraps() -> None:
    class Spatial(ColourEncoder):
        def relevance(self, tiles: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.ones(len(tiles)), np.ones((len(tiles), 7, 7))

    assert isinstance(shared(ColourEncoder()), Encoder)
    assert not isinstance(shared(ColourEncoder()), SpatialEncoder)
    spatial = shared(Spatial())
    assert isinstance(spatial, SpatialEncoder)
    assert spatial.relevance(TILES, np.zeros(16, np.float32))[1].shape == (40, 7, 7)


def test_what_is_being_made_for_one_is_not_made_twice_and_keeps_no_other_waiting() -> None:
    kept: Recent[str] = Recent(4)
    made: list[str] = []
    go = threading.Event()

    def slowly() -> str:
        made.append("slow")
        assert go.wait(30)
        return "slow"

    threads = [threading.Thread(target=kept.get, args=("a", slowly)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert kept.get("b", lambda: "quick") == "quick"
    go.set()
    for thread in threads:
        thread.join()
    assert (made, kept.find("a")) == (["slow"], "slow")
