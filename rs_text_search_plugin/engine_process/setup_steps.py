"""How the engine's private Python environment is made: programs to run one after another.

`steps` is a generator. It yields a `Command` and is sent back its `Outcome`, so that it reads from top to
bottom while whoever drives it stays free to show progress, or to stop. It ends with the path of the Python.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from .child_process import engine_arguments

VERSIONS = ((3, 11), (3, 13))
"""Oldest and newest Python for which every pinned package has wheels."""
SPACE_BYTES = 3_000_000_000
"""Downloads and the finished environment together, CPU build."""
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
CUDA_WHEELS = "https://download.pytorch.org/whl/cu130"
"""Needed on Windows only: PyPI's torch for Linux brings CUDA, PyPI's torch for Windows does not."""
READY = "ready.json"
"""Written last, after every package was used: an environment without it is not one."""

PROBE = (
    "import json, struct, sys; parts = []\n"
    "for name in ('venv', 'ensurepip'):\n"
    "    try: __import__(name)\n"
    "    except ImportError: parts.append(name)\n"
    "print(json.dumps([list(sys.version_info[:2]), struct.calcsize('P') * 8, parts]))"
)
PIP = ("-I", "-m", "pip", "install", "--no-input", "--only-binary", ":all:", "--retries", "2")


@dataclass(frozen=True)
class Command:
    """A program to run; `title` tells the person what for, "" for what is over in a moment."""

    title: str
    program: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """How a program ended, and what it wrote to stdout."""

    ok: bool
    output: str


class SetupError(Exception):
    """The environment cannot be made: what happened, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


Steps = Generator[Command, Outcome, Path]


def python_in(folder: Path) -> Path:
    """The Python of a virtual environment."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def steps(folder: Path, requirements: Path, version: str) -> Steps:
    """Builds beside `folder`, tries everything, then takes its place. Raises: SetupError."""
    base = yield from _base_python()
    new = folder.with_name(folder.name + ".new")  # left over when a setup died: made anew
    require_space(folder)
    sweep(folder)
    discard(new)
    made = yield Command("Making a Python environment", base, ("-I", "-m", "venv", str(new)))
    require(made, "The Python environment could not be made.", f"Check that you may write to {new.parent}.")
    python = str(python_in(new))
    yield from _install(python, requirements)
    report = yield Command("Trying every package", python, tuple(engine_arguments("doctor", "--json")))
    check(report)
    (new / READY).write_text(json.dumps({"version": version, "base": base}), encoding="utf-8")
    replace(folder, new)
    return python_in(folder)


def _base_python() -> Generator[Command, Outcome, str]:
    """The first Python that can make the environment; if none can, says what each one lacks."""
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
    version, bits, parts = json.loads(probe.output.splitlines()[-1])
    if not VERSIONS[0] <= tuple(version) <= VERSIONS[1]:
        return f"is Python {version[0]}.{version[1]}"
    if bits != 64:
        return "has 32 bit"
    return f"lacks {' and '.join(parts)}" if parts else ""


def how_to_get_python() -> str:
    """Advice for this system."""
    if sys.platform.startswith("linux"):
        return "On Debian and Ubuntu: sudo apt install python3-venv. Elsewhere: install Python 3.12."
    return "Install Python 3.12 from python.org (64 bit), then try again."


def _install(python: str, requirements: Path) -> Generator[Command, Outcome, None]:
    """torch first and by itself, so that its own index cannot offer any other package."""
    hint = "Check the network and, in Settings > Options > Network, the proxy; the log has the details."
    pip = yield Command("Updating pip", python, (*PIP, "--upgrade", "pip"))
    bar = ("--progress-bar", "raw") if pip.ok else ()
    gpu = yield Command("", "nvidia-smi", ("--query-gpu=name,driver_version", "--format=csv,noheader"))
    torch = pinned(requirements, "torch")
    wheels = wheel_index(gpu.ok and bool(gpu.output.strip()))
    outcome = yield Command(f"Installing {torch}", python, (*PIP, *bar, "--no-deps", *wheels, torch))
    require(outcome, f"{torch} could not be installed.", hint)
    alone = requirements.with_name("engine-requirements-alone.txt")
    for chosen in (("-r", str(requirements)), ("--no-deps", "-r", str(alone))):
        outcome = yield Command("Installing the other packages", python, (*PIP, *bar, *chosen))
        require(outcome, "The engine's packages could not be installed.", hint)


def wheel_index(gpu: bool, platform: str = sys.platform) -> tuple[str, ...]:
    """Where pip finds the torch build that fits, beside PyPI: several GB are saved without a GPU."""
    if platform.startswith("linux") and not gpu:
        return ("--extra-index-url", CPU_WHEELS)
    if platform == "win32" and gpu:
        return ("--extra-index-url", CUDA_WHEELS)
    return ()


def pinned(requirements: Path, package: str) -> str:
    """The line of a package, such as "torch==2.13.0"."""
    found = re.search(rf"^{package}==\S+", requirements.read_text(encoding="utf-8"), re.MULTILINE)
    return found[0] if found else package


def check(report: Outcome) -> None:
    """Reads what `doctor` found. Raises: SetupError."""
    try:
        checks = json.loads(report.output)["checks"]
    except (ValueError, KeyError, TypeError):
        raise SetupError("The engine does not start.", "The log has the details.") from None
    failed = [c for c in checks if not c["ok"]]
    if failed or not report.ok:
        named = "; ".join(f"{c['name']}: {c.get('detail', '')}" for c in failed)
        raise SetupError(f"The engine does not work ({named}).", failed[0].get("hint", "") if failed else "")


def require(outcome: Outcome, message: str, hint: str) -> None:
    """Raises SetupError for a program that failed."""
    if not outcome.ok:
        raise SetupError(message, hint)


def require_space(folder: Path) -> None:
    """Makes the parent folder and looks at its disk. Raises: SetupError."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder.parent).free
    except OSError as error:
        raise SetupError(
            f"{folder.parent} cannot be used: {error.strerror}.", "Set another folder."
        ) from error
    if free < SPACE_BYTES:
        need = f"{SPACE_BYTES / 1e9:.0f} GB are needed, {free / 1e9:.1f} GB are free on {folder.parent}."
        raise SetupError(
            need, "Free some space, or move the engine with the setting rs_text_search/engine_folder."
        )


def discard(folder: Path) -> None:
    """Takes a folder away at once, if it is there, and deletes it in the background. Raises: SetupError."""
    if not folder.exists():
        return
    trash = folder.with_name(f"{folder.name}.old-{time.time_ns()}")
    try:
        folder.rename(trash)
    except OSError as error:
        raise SetupError(f"{folder} is in use.", "Close other QGIS windows and try again.") from error
    threading.Thread(target=shutil.rmtree, args=(trash, True), daemon=True).start()


def sweep(folder: Path) -> None:
    """Deletes what an earlier `discard` had no time for."""
    for trash in folder.parent.glob(f"{folder.name}.old-*"):
        shutil.rmtree(trash, ignore_errors=True)


def replace(folder: Path, new: Path) -> None:
    """Puts `new` where `folder` is. Raises: SetupError."""
    discard(folder)
    try:
        new.rename(folder)
    except OSError as error:
        raise SetupError(f"{folder} is in use.", "Close other QGIS windows and try again.") from error
