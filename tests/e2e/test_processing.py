"""The Processing algorithms in `qgis_process`: index, search, export, without a desktop."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyogrio import read_info

from tests.e2e.profile import make_profile

# Debian's wrapper hands the program an option it does not know; the program itself is fine.
PROGRAM = shutil.which("qgis_process.bin") or shutil.which("qgis_process") or "qgis_process"

Algorithm = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, quiet_home: dict[str, str]) -> Algorithm:
    """Runs one of the plugin's algorithms and returns its results."""
    make_profile(tmp_path, "default")
    settings = {"QT_QPA_PLATFORM": "offscreen", "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path)}

    def run(name: str, **parameters: object) -> dict[str, Any]:
        given = [f"{key}={value}" for key, value in parameters.items()]
        command = [PROGRAM, "--json", "run", f"rs_text_search:{name}", "--", *given]
        done = subprocess.run(
            command, env={**quiet_home, **settings}, capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode:
            pytest.fail(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
        results: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])["results"]
        return results

    return run


@pytest.mark.slow
def test_index_search_export(run: Algorithm, own_scene: Path, tmp_path: Path) -> None:
    indexed = run("index", INPUT=own_scene)
    assert indexed["TILES"] > 0
    assert Path(indexed["OUTPUT"]).is_dir()
    matches, shapefile = tmp_path / "matches.gpkg", tmp_path / "cars.shp"
    found = run("search", RASTERS=own_scene, TEXT="cars in a parking lot", TOP=10, OUTPUT=matches)
    assert found["VERDICT"]
    exported = run("export", INPUT=matches, OUTPUT=shapefile)
    assert exported["FEATURES"] == read_info(matches)["features"] == 10
    seen = subprocess.run(
        ["ogrinfo", "-so", "-al", shapefile], capture_output=True, text=True, check=True
    ).stdout
    assert "Feature Count: 10" in seen
    assert "WGS 84 / UTM zone 31N" in seen
