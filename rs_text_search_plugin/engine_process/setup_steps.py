"""How the engine's private Python environment is made: programs to run one after another.

`steps` is a generator. It yields a `Command` or a `Question` and is sent back its `Outcome`, so that it reads from
top to bottom while whoever drives it stays free to show progress, or to stop. It ends with the path of the Python.
"""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from pathlib import Path

from .base_python import find_base_python
from .child_process import engine_arguments
from .package_steps import Lock, choose_torch, folder_build, install, install_from_folder
from .setup_command import Command, Outcome, SetupError, Steps, require

READY = "ready.json"
"""Written last, after every package was used: an environment without it is not one."""


def python_in(folder: Path) -> Path:
    """The Python of a virtual environment."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def steps(folder: Path, lock: Lock, version: str, wheels: Path | None = None) -> Steps[Path]:
    """Builds beside `folder`, tries everything, then takes its place; with `wheels`, from that folder alone.

    Raises: SetupError.
    """
    base = yield from find_base_python()
    new = folder.with_name(folder.name + ".new")  # left over when a setup died: made anew
    make_parent(folder)
    sweep(folder)
    discard(new)
    made = yield Command("Making a Python environment", base, ("-I", "-m", "venv", str(new)))
    require(made, "The Python environment could not be made.", f"Check that you may write to {new.parent}.")
    python = str(python_in(new))
    if wheels is None:
        build = yield from choose_torch(python, lock)
        require_space(folder, build.download + build.disk)
        yield from install(python, lock, build)
    else:
        require_space(folder, folder_build(wheels).disk)
        yield from install_from_folder(python, lock, wheels)
    report = yield Command("Trying every package", python, tuple(engine_arguments("doctor", "--json")))
    check(report)
    (new / READY).write_text(json.dumps({"version": version, "base": base}), encoding="utf-8")
    replace(folder, new)
    return python_in(folder)


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


def make_parent(folder: Path) -> None:
    """Makes the folder that the environment will be in. Raises: SetupError."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"{folder.parent} cannot be used: {error.strerror}.", "Set another folder."
        ) from error


def require_space(folder: Path, need: int) -> None:
    """Raises SetupError when the disk of `folder` has fewer than `need` bytes free."""
    free = shutil.disk_usage(folder.parent).free
    if free < need:
        raise SetupError(
            f"{need / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free on {folder.parent}.",
            "Free some space, or move the engine with the setting rs_text_search/engine_folder.",
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
