"""`rs-text-search`: reads the command line, runs one command, prints what came of it."""

from __future__ import annotations

import io
import sys
import warnings
from argparse import Namespace
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

from rs_text_search_plugin.contracts.errors import Cancelled

from .cli import arguments

STOPPED = 130
"""The exit code of whatever Ctrl-C ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 a clear error, 2 a bad call, 130 stopped. Never a traceback unless asked for."""
    args = arguments.parse(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a file name may hold what the terminal cannot show
    from .cli import terminal  # noqa: PLC0415 - a bad call must not wait for numpy

    try:
        with redirect_stdout(sys.stderr):  # a library's print must not end up in the answer
            answer = run(args)
    except (Cancelled, KeyboardInterrupt):
        terminal.complain("Stopped.", "What was done is kept; the same command goes on from there.")
        return STOPPED
    except Exception as error:  # the last place where a bug can become two lines
        terminal.fail(args, error)
        return 1
    terminal.show(args, answer)
    return 0 if answer.get("ok", True) and not answer.get("errors") else 1


def run(args: Namespace) -> dict[str, Any]:
    """Performs the command; its packages are imported only now, so that doctor runs when one is broken."""
    if not args.debug:
        warnings.simplefilter("ignore")
    if args.command == "doctor":
        from .cli import doctor  # noqa: PLC0415

        return doctor.examine()
    from .cli import commands, terminal  # noqa: PLC0415
    from .service import server, session  # noqa: PLC0415

    if args.command == "serve":
        server.main()
    with session.Session() as opened:
        return commands.COMMANDS[args.command](opened, args, terminal.ProgressLine())


if __name__ == "__main__":
    sys.exit(main())
