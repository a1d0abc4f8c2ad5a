"""`rs-text-search`: reads the command line, runs one command, prints what came of it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace

STOPPED = 130
"""The exit code of whatever Ctrl-C ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 a clear error, 2 a bad call, 130 stopped. Never a traceback unless asked for."""
    if argv is None:
        signal.signal(signal.SIGINT, leave)
    from .cli import arguments, terminal  # noqa: PLC0415 - Ctrl-C while they load must show no traceback

    args = arguments.parse(sys.argv[1:] if argv is None else argv)
    terminal.escape_unprintable()
    try:
        with terminal.stdout_to_stderr():  # a library's print must not end up in the answer
            answer = run(args)
        terminal.show(args, answer)
    except terminal.STOPS:
        terminal.complain("Stopped.", "What was done is kept; the same command goes on from there.")
        return STOPPED
    except Exception as error:  # the last place where a bug can become two lines
        terminal.fail(args, error)
        return 1
    return 0 if answer.get("ok", True) and not answer.get("errors") else 1


def leave(number: int, frame: FrameType | None) -> None:
    """Ends the process before anything has begun: a KeyboardInterrupt would break an import half-way."""
    os.write(2, b"Stopped.\n")
    os._exit(STOPPED)


def run(args: Namespace) -> dict[str, Any]:
    """Performs the command; its packages are imported only now, so that doctor runs when one is broken."""
    if args.command == "doctor":
        from .cli import doctor  # noqa: PLC0415

        return doctor.examine()
    from .cli import commands, terminal  # noqa: PLC0415
    from .service import server, session  # noqa: PLC0415

    if signal.getsignal(signal.SIGINT) is leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if args.command == "serve":
        server.main()
    with terminal.library_warnings(shown=args.debug), session.Session() as opened:
        return commands.COMMANDS[args.command](opened, args, terminal.ProgressLine())


if __name__ == "__main__":
    sys.exit(main())
