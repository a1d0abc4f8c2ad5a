"""Batches that fit: when a device's memory runs out, the batch is halved and stays so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from rs_text_search_plugin.contracts.arrays import F32, U8
from rs_text_search_plugin.contracts.errors import ModelError

T = TypeVar("T")


class Batches:
    """Gives a network `size` tiles at a time, or as many as the device's memory turned out to hold."""

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, network: Callable[[U8], T], tiles: U8) -> list[T]:
        """What `network` makes of the tiles (n, h, w, 3), batch by batch. Raises ModelError when not even one fits."""
        found: list[T] = []
        start = 0
        while start < len(tiles):
            part = tiles[start : start + self.size]
            try:
                found.append(network(part))
            except torch.OutOfMemoryError as error:
                self._halve(len(part), error)
                continue
            start += len(part)
        return found

    def _halve(self, tried: int, error: Exception) -> None:
        if tried == 1:
            hint = "Close other programs that use it, or choose the CPU."
            raise ModelError("The device's memory cannot hold a single tile.", hint) from error
        self.size = tried // 2
        torch.cuda.empty_cache()


def joined(parts: list[F32], *shape: int) -> F32:
    """Batches as one array; (0, *shape) when there are none."""
    return np.concatenate(parts) if parts else np.empty((0, *shape), np.float32)
