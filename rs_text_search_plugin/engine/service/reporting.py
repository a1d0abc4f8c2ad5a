"""How progress and failures are told."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from typing import Any

from rs_text_search_plugin.contracts.errors import Failure, SearchError
from rs_text_search_plugin.contracts.messages import Progress

Json = dict[str, Any]


class Meter:
    """Adds rate and time left to bare counts, and lets a report through every `every` seconds at most."""

    def __init__(self, report: Callable[[Progress], None], every: float = 0.2) -> None:
        self.report = report
        self.every = every
        self.first: tuple[float, int] | None = None
        self.last = -math.inf

    def __call__(self, done: int, total: int) -> None:
        """The first count is what was there already, so that a resumed index does not look fast."""
        now = time.monotonic()
        self.first = self.first or (now, done)
        if now - self.last < self.every and done < total:
            return
        self.last = now
        seconds, count = now - self.first[0], done - self.first[1]
        rate = count / seconds if count and seconds > 0 else None
        self.report(
            Progress(
                done=done,
                total=total,
                message=f"{done:,} of {total:,} tiles",
                rate=rate and round(rate, 1),
                eta_s=rate and round((total - done) / rate, 1),
            )
        )


def explain(error: BaseException) -> Failure:
    """What to tell about an exception; whatever is neither ours nor the system's is called a bug."""
    if isinstance(error, SearchError):
        return Failure(type(error).__name__, error.message, error.hint)
    if isinstance(error, MemoryError):
        hint = "Close other programs, or search fewer rasters at a time, and try again."
        return Failure("MemoryError", "The computer's memory ran out.", hint)
    if isinstance(error, ImportError):
        hint = "Run `rs-text-search doctor`; to train a model, install the extra packages of `[train]`."
        return Failure("ImportError", f"A package is missing or broken: {error}", hint)
    details = "".join(traceback.format_exception(error))
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return Failure("OSError", f"{error.strerror}{where}", "Check path, disk space and rights.", details)
    message = f"Unexpected {type(error).__name__}: {error}"
    return Failure("Internal", message, "This is a bug: please report it with its details.", details)
