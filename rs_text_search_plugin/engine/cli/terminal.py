"""What is printed while a command runs and when it ends."""

from __future__ import annotations

import io
import json
import os
import sys
import traceback
import warnings
from argparse import Namespace
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from typing import TextIO

from rs_text_search_plugin.contracts.errors import Cancelled
from rs_text_search_plugin.contracts.messages import Progress
from rs_text_search_plugin.engine.service.reporting import Json, Meter, explain

STOPS = (Cancelled, KeyboardInterrupt)
"""What ends a command because the person wished it."""


def escape_unprintable() -> None:
    """A file name may hold what the terminal cannot show."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def stdout_to_stderr() -> AbstractContextManager[TextIO]:
    """Whatever prints meanwhile prints to stderr."""
    return redirect_stdout(sys.stderr)


@contextmanager
def library_warnings(*, shown: bool) -> Iterator[None]:
    """Whether Python's warnings are printed meanwhile."""
    with warnings.catch_warnings():
        if not shown:
            warnings.simplefilter("ignore")
        yield


class ProgressLine:
    """One line on stderr that is written over; in a log a new line every few seconds."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.meter = Meter(self.write, every=0.2 if self.live else 5.0)

    def __call__(self, done: int, total: int) -> None:
        self.meter(done, total)

    def write(self, progress: Progress) -> None:
        """Share, count, rate and time left."""
        speed = f", {progress.rate:.1f} tiles/s" if progress.rate else ""
        left = f", {minutes_and_seconds(progress.eta_s)} left" if progress.eta_s else ""
        share = 100 * progress.done // max(1, progress.total)
        line = f"{share:3d} %  {progress.message}{speed}{left}"
        end = "" if self.live and progress.done < progress.total else "\n"
        print(f"\r{line:<78}" if self.live else line, end=end, file=sys.stderr, flush=True)


def minutes_and_seconds(seconds: float) -> str:
    """65 -> 1:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def show(args: Namespace, answer: Json) -> None:
    """The answer on stdout, as JSON or for reading."""
    from .reports import REPORTS  # noqa: PLC0415 - not needed for JSON

    lines = [json.dumps(answer, allow_nan=False)] if args.json else REPORTS[args.command](answer)
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough; keep Python from saying so when it flushes once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(args: Namespace, error: BaseException) -> None:
    """Two lines on stderr: what, and what to do. With --json the same as an object on stdout."""
    failure = explain(error)
    complain(failure.message, failure.hint)
    if args.json:
        print(json.dumps({"error": {"kind": failure.kind, "message": failure.message, "hint": failure.hint}}))
    if args.debug or os.environ.get("RS_TEXT_SEARCH_DEBUG"):
        traceback.print_exception(error)


def complain(message: str, hint: str) -> None:
    """One line each, whatever they hold."""
    for line in (message, hint):
        print(" ".join(line.split()), file=sys.stderr)
