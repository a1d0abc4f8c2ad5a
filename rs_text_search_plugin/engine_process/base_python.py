"""The Python that the engine's environment is made with: one of the computer's own."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from .setup_command import Command, Outcome, SetupError, Steps

VERSIONS = ((3, 11), (3, 14))
"""Oldest and newest Python for which every locked package has wheels (`python -m tests.bench.wheels`)."""

PROBE = (
    "import json, platform, struct, sys; parts = []\n"
    "for name in ('venv', 'ensurepip'):\n"
    "    try: __import__(name)\n"
    "    except ImportError: parts.append(name)\n"
    "print(json.dumps([list(sys.version_info[:2]), struct.calcsize('P') * 8, parts, platform.machine()]))"
)


def find_base_python() -> Steps[str]:
    """The first Python that can make the environment. Raises: SetupError, saying what each one lacks."""
    lacking = []
    for candidate in candidates():
        outcome = yield Command("", candidate, ("-I", "-c", PROBE))
        lack = shortcoming(outcome)
        if not lack:
            return candidate
        lacking.append(f"{candidate}: {lack}")
    seen = "; ".join(lacking) or "none was found"
    raise SetupError(
        f"No suitable Python 3.{VERSIONS[0][1]} to 3.{VERSIONS[1][1]} ({seen}).", how_to_get_python()
    )


def candidates() -> Iterator[str]:
    """Pythons worth asking, QGIS's own if it is a full one; never sys.executable, which may be QGIS."""
    if sys.platform == "win32":
        yield from existing(
            Path(sys.base_exec_prefix) / "python3.exe", Path(sys.base_exec_prefix) / "python.exe"
        )
        for root in (Path.home() / "AppData/Local/Programs/Python", Path("C:/Program Files")):
            yield from existing(*(root / f"Python3{minor}" / "python.exe" for minor in minors()))
    elif sys.platform == "darwin":
        yield from existing(Path(sys.base_exec_prefix) / "bin" / "python3")
        frameworks = "/Library/Frameworks/Python.framework/Versions/3.{}/bin/python3"
        yield from existing(*(Path(frameworks.format(minor)) for minor in minors()))
    folders = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin") if sys.platform != "win32" else ()
    for folder in folders:
        yield from existing(
            Path(folder, "python3"), *(Path(folder, f"python3.{minor}") for minor in minors())
        )
    yield from filter(None, (shutil.which(f"python3.{minor}") for minor in minors()))


def minors() -> range:
    """Minor versions of Python that will do, newest first."""
    return range(VERSIONS[1][1], VERSIONS[0][1] - 1, -1)


def existing(*files: Path) -> Iterator[str]:
    """Those that are there."""
    return (str(file) for file in files if file.is_file())


def shortcoming(probe: Outcome) -> str:
    """Why a Python will not do, "" when it will."""
    if not probe.ok:
        return "does not start"
    version, bits, parts, machine = json.loads(probe.output.splitlines()[-1])
    if not VERSIONS[0] <= tuple(version) <= VERSIONS[1]:
        return f"is Python {version[0]}.{version[1]}"
    if bits != 64:
        return "has 32 bit"
    if sys.platform == "darwin" and machine == "x86_64":
        return "is for Intel processors, for which torch has no packages"
    return f"lacks {' and '.join(parts)}" if parts else ""


def how_to_get_python() -> str:
    """Advice for this system."""
    if sys.platform.startswith("linux"):
        return "On Debian and Ubuntu: sudo apt install python3-venv. Elsewhere: install Python 3.12."
    return "Install Python 3.12 from python.org (64 bit), then try again."
