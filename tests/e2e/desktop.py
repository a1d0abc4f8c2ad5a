"""A QGIS desktop under Xvfb, read by screen_report.py and driven with mouse and keyboard by xdotool."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCREEN = (1400, 900)
PATIENCE_S = 150
"""How long a slow machine may take for one step."""

ScreenState = dict[str, Any]


class Desktop:
    """Starts Xvfb and QGIS, stops both. `folder` holds the profile and keeps screenshots and logs."""

    def __init__(self, folder: Path, screen: tuple[int, int] = SCREEN) -> None:
        self.folder = folder
        self.number = next(n for n in range(87, 200) if not Path(f"/tmp/.X{n}-lock").exists())
        self.display = f":{self.number}"
        self.screen = screen
        self.report = folder / "screen.json"
        self.report.unlink(missing_ok=True)  # of an earlier run in the same folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *files: Path, env: dict[str, str] | None = None) -> None:
        """Opens QGIS with some files and waits until it draws."""
        width, height = self.screen
        screen = ["-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
        self._spawn(["Xvfb", self.display, *screen], {})
        socket = Path(f"/tmp/.X11-unix/X{self.number}")
        wait(socket.exists, "Xvfb")
        profile = ["--profiles-path", str(self.folder), "--profile", "test"]
        quiet = ["--nologo", "--noversioncheck", "--code", str(HERE / "screen_report.py")]
        chosen = {"RS_TEXT_SEARCH_SCREEN_REPORT": str(self.report), **(env or {})}
        self._spawn(["qgis", *profile, *quiet, *map(str, files)], chosen)
        self.wait(lambda seen: len(seen["layers"]) >= len(files) and not seen["canvas"]["drawing"], "QGIS")
        window = ["search", "--onlyvisible", "--name", "QGIS"]  # there is no window manager to enlarge it
        self._xdotool(*window, "windowmove", 0, 0, "windowsize", width, height)
        self.wait(lambda seen: seen["window"] == [0, 0, width, height], "large window")

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    # ---- reading the screen ----
    def state(self) -> ScreenState:
        """What is on the screen now; empty until QGIS is up."""
        try:
            state: ScreenState = json.loads(self.report.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"widgets": [], "menus": [], "layers": [], "canvas": {"drawing": True}}
        return state

    def wait(self, condition: Callable[[ScreenState], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
        """Waits until something can be seen and returns it. A screenshot is kept when it never can."""
        try:
            return wait(lambda: condition(self.state()), what, patience_s, self._running)
        except TimeoutError:
            self.screenshot("timeout")
            raise

    def widget(self, name: str, enabled: bool = True) -> dict[str, Any]:
        """Waits for a widget by the beginning of its accessible name or text."""
        return self.wait(lambda seen: find(seen["widgets"], name, enabled), f"a widget “{name}”")

    def screenshot(self, name: str) -> Path:
        path = self.folder / f"{name}.png"
        run = ["import", "-display", self.display, "-window", "root", str(path)]
        subprocess.run(run, check=True, timeout=60)
        return path

    # ---- mouse and keyboard ----
    def press(self, name: str) -> None:
        """Clicks on a widget once it is there, enabled and standing still."""
        before: dict[str, Any] = {}
        while (now := self.widget(name)) != before:
            before = now
            time.sleep(0.75)
        self.click(*middle(now["rect"]))

    def choose(self, *entries: str) -> None:
        """Clicks through menus, from an entry of the menu bar or of an open menu."""
        for entry in entries:
            found = self.wait(lambda seen, entry=entry: find(seen["menus"], entry), f"a menu entry “{entry}”")
            self.click(*middle(found["rect"]))

    def click(self, x: float, y: float, button: int = 1) -> None:
        self._xdotool("mousemove", round(x), round(y))
        self._xdotool("click", button)

    def type(self, text: str) -> None:
        self._xdotool("type", "--delay", 30, text)

    def key(self, *keys: str) -> None:
        self._xdotool("key", *keys)

    def on_map(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the map's CRS lies on the screen, px."""
        view = self.state()["canvas"]
        left, top, width, height = view["rect"]
        west, south, east, north = view["extent"]
        return left + (x - west) / (east - west) * width, top + (north - y) / (north - south) * height

    def _xdotool(self, *words: object) -> None:
        environment = {**os.environ, "DISPLAY": self.display}
        subprocess.run(["xdotool", *map(str, words)], env=environment, check=True, timeout=30)

    def _spawn(self, command: list[str], chosen: dict[str, str]) -> None:
        environment = {**os.environ, "DISPLAY": self.display, **chosen}
        environment.pop("QT_QPA_PLATFORM", None)
        log = (self.folder / f"{command[0]}.log").open("wb")
        self.processes.append(
            subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        )

    def _running(self) -> None:
        for process in self.processes:
            if process.poll() is not None:
                raise AssertionError(f"{process.args[0]} ended with {process.returncode}; see {self.folder}")


def wait(
    condition: Callable[[], Any],
    what: str,
    patience_s: float = PATIENCE_S,
    check: Callable[[], None] = lambda: None,
) -> Any:
    """Asks four times a second until the answer is true and returns it. Raises: TimeoutError."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        check()
        answer = condition()
        if answer:
            return answer
        time.sleep(0.25)
    raise TimeoutError(f"No {what} within {patience_s:.0f} s.")


def find(things: list[dict[str, Any]], name: str, enabled: bool = True) -> dict[str, Any] | None:
    """The first of that name or text, or else the first whose name or text begins so."""

    def called(thing: dict[str, Any]) -> tuple[str, str]:
        return thing.get("name", ""), thing["text"].replace("&", "")

    wanted = [thing for thing in things if thing["enabled"] or not enabled]
    exact = (thing for thing in wanted if name in called(thing))
    begun = (thing for thing in wanted if any(word.startswith(name) for word in called(thing)))
    return next(exact, None) or next(begun, None)


def middle(rect: list[int]) -> tuple[float, float]:
    return rect[0] + rect[2] / 2, rect[1] + rect[3] / 2
