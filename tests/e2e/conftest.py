"""What the end-to-end tests share: scenes, the command line, a folder that keeps what one may want to see."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.demo.scene import make_scene

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).parent / "rs-text-search"
KEPT = ROOT / "build" / "e2e"
"""Screenshots and logs of the last run."""

Engine = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Runs the command line as a person would and returns its JSON."""

    def run(*words: object) -> dict[str, Any]:
        command = [COMMAND, *map(str, words), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            pytest.fail(f"{' '.join(map(str, command))}\n{done.stderr}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return run


@pytest.fixture(scope="session")
def small_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """512 m of the demo scene: houses, a car park, a sports ground."""
    return make_scene(tmp_path_factory.mktemp("small"), 1024)[0]


@pytest.fixture
def own_scene(small_scene: Path, tmp_path: Path) -> Path:
    """A copy of the small scene for one test, without an index."""
    return Path(shutil.copy(small_scene, tmp_path))


@pytest.fixture
def kept(request: pytest.FixtureRequest) -> Path:
    """An empty folder under build/e2e, which stays after the test."""
    folder = KEPT / request.node.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def quiet_home(tmp_path: Path) -> dict[str, str]:
    """An environment in which no test sees the person's caches or engine."""
    hidden = {"RS_TEXT_SEARCH_PYTHON", "PYTHONPATH", "PROJ_LIB", "PROJ_DATA", "GDAL_DATA"}
    shown = {name: value for name, value in os.environ.items() if name not in hidden}
    home = tmp_path / "home"
    home.mkdir()
    return {**shown, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
