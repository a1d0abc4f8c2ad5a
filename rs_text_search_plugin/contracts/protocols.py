"""What the engine asks of a model."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from .arrays import F32, U8


@runtime_checkable
class Encoder(Protocol):
    """Maps tiles and texts into one space of unit vectors, where a dot product is their similarity.

    When the device's memory runs out, the model halves its own batches; callers need not know."""

    name: str
    fingerprint: str
    """sha256 of weights and preprocessing, 64 hex digits; part of every index."""
    dim: int
    """Length of an embedding."""
    size: int
    """Side of the network's square input, px. Tiles of any size are resized to it on the device."""
    device: str
    """`cpu` or `cuda:N`."""

    @property
    def batch(self) -> int:
        """Tiles it is best given at once: few on a CPU, so that a cancel acts within a second, many on a GPU."""
        ...

    def images(self, tiles: U8) -> F32:
        """(n, h, w, 3) RGB uint8 -> (n, dim) unit length."""
        ...

    def texts(self, texts: list[str]) -> F32:
        """n texts -> (n, dim) unit length."""
        ...


@runtime_checkable
class SpatialEncoder(Encoder, Protocol):
    """An Encoder that tells which parts of a tile make it similar to a query."""

    def relevance(self, tiles: U8, query: F32) -> tuple[F32, F32]:
        """(n, h, w, 3) RGB uint8 and a query's unit vector (dim,) -> cosines (n,) of tiles and query, and (n, g, g)
        what each cell of a g x g grid over the tile adds to them."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Scores text-tile pairs together; slower and finer than an Encoder."""

    name: str
    device: str
    """`cpu` or `cuda:N`."""

    @property
    def batch(self) -> int:
        """Tiles it is best given at once; between two batches a search can be cancelled."""
        ...

    def pairs(self, text: str, tiles: U8) -> F32:
        """(n, h, w, 3) RGB uint8 -> (n,) probability that the text fits, 0-1."""
        ...
