"""What an operation shares with whoever asked for it: progress, cancel, plain JSON and a word on failures."""

from __future__ import annotations

import dataclasses
import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rs_text_search_plugin.contracts.errors import SearchError
from rs_text_search_plugin.contracts.messages import Window

Json = dict[str, Any]


def no_progress(done: int, total: int) -> None:
    """For callers who do not watch."""


@dataclass(frozen=True)
class Job:
    """The two lines between an operation and its caller: how far it is, and whether to stop."""

    progress: Callable[[int, int], None] = no_progress
    """Called with tiles done and tiles in all."""
    cancelled: Callable[[], bool] = lambda: False


class Meter:
    """Adds rate and time left to bare counts, and lets a report through every `every` seconds at most."""

    def __init__(self, report: Callable[[Json], None], every: float = 0.2) -> None:
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
            {
                "done": done,
                "total": total,
                "rate": rate and round(rate, 1),
                "eta_s": rate and round((total - done) / rate, 1),
                "message": f"{done:,} of {total:,} tiles",
            }
        )


@dataclass(frozen=True)
class Failure:
    """An exception as a person gets to see it."""

    kind: str
    message: str
    hint: str
    details: str = ""
    """The traceback of a bug; empty for everything the engine raises on purpose."""


def explain(error: BaseException) -> Failure:
    """What to tell about an exception; whatever is neither ours nor the system's is called a bug."""
    if isinstance(error, SearchError):
        return Failure(type(error).__name__, error.message, error.hint)
    if isinstance(error, MemoryError):
        return Failure("MemoryError", "The memory ran out.", "Close other programs and try again.")
    if isinstance(error, ImportError):
        hint = "Run `rs-text-search doctor`; to train a model, install the extra packages of `[train]`."
        return Failure("ImportError", f"A package is missing or broken: {error}", hint)
    details = "".join(traceback.format_exception(error))
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return Failure("OSError", f"{error.strerror}{where}", "Check path, disk space and rights.", details)
    message = f"Unexpected {type(error).__name__}: {error}"
    return Failure("Internal", message, "This is a bug: please report it with its details.", details)


def plain(values: Mapping[str, Any]) -> Json:
    """A result as JSON knows it."""
    return {name: jsonable(value) for name, value in values.items()}


def jsonable(value: Any) -> Any:
    """Dataclasses, arrays, paths and tuples as JSON has them; a window is [x, y, width, height], NaN null."""
    if isinstance(value, Window):
        value = (value.x, value.y, value.width, value.height)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif hasattr(value, "tolist"):  # numpy scalars and arrays
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
