"""Where the engine's Python comes from, and how a private one is built, repaired, removed and reported on.

Looked for in this order: the setting, the variable, the checkout's own `.venv` (for developers), the private
environment. Nothing of any of them ever enters QGIS's own Python.
"""

from __future__ import annotations

import os
import platform
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any, Callable, NamedTuple

from qgis.core import Qgis, QgsSettings
from qgis.PyQt.QtCore import QT_VERSION_STR, QLockFile, QObject, QProcess, QStandardPaths, pyqtSignal

from rs_text_search_plugin.assets import resource
from rs_text_search_plugin.version import VERSION

from .child_process import end, new_process
from .package_steps import Lock
from .setup_command import Command, Outcome, SetupError, Steps, Task
from .setup_steps import READY, discard, python_in, steps

PYTHON_SETTING = "rs_text_search/engine_python"
FOLDER_SETTING = "rs_text_search/engine_folder"
VARIABLE = "RS_TEXT_SEARCH_PYTHON"
RAW_PROGRESS = "Progress "
"""How pip says "Progress BYTES of BYTES" when asked for raw progress."""
LOG_LINES = 2000


class EnginePython(NamedTuple):
    """A Python to run the engine with, and where it was named."""

    path: str
    origin: str


def find_python() -> EnginePython | None:
    """The engine's Python, None when there is none yet."""
    named = QgsSettings().value(PYTHON_SETTING, "", str)
    if named:
        return EnginePython(interpreter(named), f"the setting {PYTHON_SETTING}")
    if os.environ.get(VARIABLE):
        return EnginePython(interpreter(os.environ[VARIABLE]), f"the variable {VARIABLE}")
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file() and python_in(checkout / ".venv").is_file():
        return EnginePython(str(python_in(checkout / ".venv")), "the checkout's .venv")
    folder = private_folder()
    if (folder / READY).is_file() and python_in(folder).is_file():
        return EnginePython(str(python_in(folder)), "the environment built by this plugin")
    return None


def interpreter(name: str) -> str:
    """A Python named by itself or by its environment's folder."""
    path = Path(name).expanduser()
    return str(python_in(path) if path.is_dir() else path)


def private_folder() -> Path:
    """Where the private environment is or will be: outside plugin and profile, to survive updates."""
    cache = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericCacheLocation)
    folder = QgsSettings().value(FOLDER_SETTING, "", str) or f"{cache}/rs-text-search/engine"
    return Path(folder).expanduser()


class Environment(QObject):
    """Builds and removes the private environment, one program after another; QGIS never waits."""

    said = pyqtSignal(str)
    """A line for the person to read."""
    progress = pyqtSignal(float)
    """Part of the present download that is here, 0-1."""
    asked = pyqtSignal(str)
    """A question of yes or no, to be answered with `answer`."""
    built = pyqtSignal(str)
    """The environment works; carries its Python."""
    failed = pyqtSignal(str, str)
    """It does not; carries what happened and what to do."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self._steps: Steps[Path] | None = None
        self._process: QProcess | None = None
        self._output = b""
        self._lock: QLockFile | None = None

    def building(self) -> bool:
        """True from `build` to `built` or `failed`."""
        return self._steps is not None

    def build(self, wheels: Path | None = None) -> None:
        """Builds the environment, or builds it anew: that is what repair means. Stop the engine first.

        With `wheels`, from that folder of wheels alone, without a network.
        """
        if self.building():
            return
        folder = private_folder()
        self.log.clear()
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.failed.emit(
                f"{folder.parent} cannot be made: {error.strerror}.", f"Change {FOLDER_SETTING}."
            )
            return
        self._lock = QLockFile(f"{folder}.lock")
        self._lock.setStaleLockTime(0)  # only the death of its process frees it
        if not self._lock.tryLock(0):
            self._lock = None
            self.failed.emit("Another QGIS is setting up the engine.", "Wait until it is done.")
            return
        lock = Lock(resource("engine-requirements.txt").parent)
        build = self._steps = steps(folder, lock, VERSION, wheels)
        self._advance(lambda: next(build))

    def cancel(self) -> None:
        """Stops a build; the environment that was there before stays."""
        if self.building():
            self._fail("The setup was cancelled.", "Press “Set up engine” to begin anew.")

    def remove(self) -> None:
        """Deletes the private environment. Stop the engine first. Raises: SetupError."""
        discard(private_folder())

    def answer(self, yes: bool) -> None:
        """What the person said to `asked`."""
        build = self._steps
        if build is not None and self._process is None:
            self._advance(lambda: build.send(Outcome(yes, "")))

    def _advance(self, step: Callable[[], Task]) -> None:
        try:
            task = step()
        except StopIteration as finished:
            self._close()
            self._say("The engine is ready.")
            self.built.emit(str(finished.value))
        except SetupError as error:
            self._fail(error.message, error.hint)
        else:
            self._take(task)

    def _take(self, task: Task) -> None:
        if isinstance(task, Command):
            self._run(task)
        else:
            self._say(task.text)
            self.asked.emit(task.text)

    def _run(self, command: Command) -> None:
        if command.title:
            self._say(f"{command.title} ...")
        self._output = b""
        process = self._process = new_process(self)
        process.readyReadStandardOutput.connect(partial(self._read, process))
        process.readyReadStandardError.connect(partial(self._read_errors, process))
        process.finished.connect(self._finished)
        process.errorOccurred.connect(self._could_not_start)
        process.start(command.program, list(command.arguments))
        process.closeWriteChannel()

    def _read(self, process: QProcess) -> None:
        """Complete lines are shown; pip's raw progress becomes a number."""
        before = self._output.count(b"\n")
        self._output += bytes(process.readAllStandardOutput())
        for line in self._output.split(b"\n")[before:-1]:
            self._show(line.decode("utf-8", "replace").strip())

    def _show(self, line: str) -> None:
        words = line.split()
        if line.startswith(RAW_PROGRESS) and len(words) == 4 and words[3].isdigit() and int(words[3]):
            self.progress.emit(int(words[1]) / int(words[3]))
        elif line and not line.startswith(("{", "[")):
            self._say(line)

    def _read_errors(self, process: QProcess) -> None:
        for line in bytes(process.readAllStandardError()).decode("utf-8", "replace").splitlines():
            if line.strip():
                self._say(line.strip())

    def _could_not_start(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._finished(-1, QProcess.ExitStatus.NormalExit)

    def _finished(self, code: int, status: QProcess.ExitStatus) -> None:
        process, self._process, build = self._process, None, self._steps
        if process is None or build is None:
            return
        process.deleteLater()
        ok = code == 0 and status == QProcess.ExitStatus.NormalExit
        outcome = Outcome(ok, self._output.decode("utf-8", "replace"))
        self._advance(lambda: build.send(outcome))

    def _say(self, line: str) -> None:
        self.log.append(line)
        self.said.emit(line)

    def _fail(self, message: str, hint: str) -> None:
        self._close()
        self._say(message)
        self.failed.emit(message, hint)

    def _close(self) -> None:
        """Lets go of the program, the steps and the lock."""
        process, self._process, self._steps = self._process, None, None
        if process is not None:
            process.disconnect()
            process.kill()
            end(process)
            process.deleteLater()
        if self._lock is not None:
            self._lock.unlock()
            self._lock = None


def diagnostics(hello: dict[str, Any], stderr: str, log: list[str]) -> str:
    """A report to paste into an issue: versions, device, log; names of the person's folders are left out."""
    python = find_python()
    facts = {
        "Plugin": VERSION,
        "QGIS": f"{Qgis.QGIS_VERSION}, Qt {QT_VERSION_STR}, Python {platform.python_version()}",
        "System": platform.platform(),
        "Engine's Python": f"{python.path} ({python.origin})" if python else "none",
        "Engine": hello.get("version", "not running"),
        "Device": hello.get("device", {}),
    }
    lines = [f"- {name}: {fact}" for name, fact in facts.items()]
    for title, text in (("Engine's last words", stderr), ("Last setup", "\n".join(log))):
        if text.strip():
            lines += ["", f"### {title}", "```", text.strip(), "```"]
    return scrubbed("\n".join(lines))


def scrubbed(text: str) -> str:
    """Text without the home folder's path and its name, which is the person's."""
    return text.replace(str(Path.home()), "~").replace(f"/{Path.home().name}/", "/USER/")
