"""What work shares with whoever asked for it: how far it is, and whether to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def no_progress(done: int, total: int) -> None:
    """For callers who do not watch."""


@dataclass(frozen=True)
class Job:
    """The two lines between an operation and its caller."""

    progress: Callable[[int, int], None] = no_progress
    """Called with what is done and what there is in all, in tiles or in bytes."""
    cancelled: Callable[[], bool] = lambda: False
