"""One encoder for several threads: its calls take turns, batch by batch, in the order of arrival.

Images and texts go through networks of their own, so a query's text need not wait for an index run's batch,
however slow the model is. What reads pixels for a query waits for one batch at most.
"""

from __future__ import annotations

import threading
from types import TracebackType

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, U8
from rs_text_search_plugin.contracts.protocols import Encoder, SpatialEncoder


class FairLock:
    """A lock that is given in the order in which it was asked for; threading.Lock may starve a thread."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._next_ticket = 0
        self._served = 0

    def __enter__(self) -> None:
        with self._turn:
            ticket = self._next_ticket
            self._next_ticket += 1
            self._turn.wait_for(lambda: self._served == ticket)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._turn:
            self._served += 1
            self._turn.notify_all()


class SharedEncoder:
    """An Encoder (see contracts/protocols.py) whose calls take turns, those for images and those for texts."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.name, self.fingerprint = encoder.name, encoder.fingerprint
        self.dim, self.size, self.device = encoder.dim, encoder.size, encoder.device
        self.image_lock, self.text_lock = FairLock(), FairLock()

    @property
    def batch(self) -> int:
        """Tiles it is best given at once; smaller once memory ran out."""
        return self.encoder.batch

    def images(self, tiles: U8) -> F32:
        """(n, h, w, 3) RGB uint8 -> (n, dim) unit length."""
        found = [np.zeros((0, self.dim), np.float32)]
        step = self.batch
        for start in range(0, len(tiles), step):
            with self.image_lock:
                found.append(self.encoder.images(tiles[start : start + step]))
        return np.concatenate(found)

    def texts(self, texts: list[str]) -> F32:
        """n texts -> (n, dim) unit length."""
        with self.text_lock:
            return self.encoder.texts(texts)


class SharedSpatialEncoder(SharedEncoder):
    """A SpatialEncoder whose calls take turns."""

    encoder: SpatialEncoder

    def relevance(self, tiles: U8, query: F32) -> tuple[F32, F32]:
        """As of SpatialEncoder."""
        with self.image_lock:
            return self.encoder.relevance(tiles, query)


def shared(encoder: Encoder) -> SharedEncoder:
    """The encoder for several threads."""
    return SharedSpatialEncoder(encoder) if isinstance(encoder, SpatialEncoder) else SharedEncoder(encoder)
