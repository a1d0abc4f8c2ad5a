"""The three rooms keep to their own packages (docs/decisions/0001): read from the source, seen at run time."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "rs_text_search_plugin"

ENGINE_FILES = sorted((PLUGIN / "engine").rglob("*.py"))
MODEL_FILES = sorted((ROOT / "models").rglob("*.py"))
QGIS_FILES = sorted(set(PLUGIN.rglob("*.py")) - set(ENGINE_FILES))

STDLIB = set(sys.stdlib_module_names)
ENGINE_MAY = STDLIB | {
    "affine",
    "numpy",
    "rasterio",
    "pyogrio",
    "shapely",
    "pyarrow",
    "faiss",
    "filelock",
    "safetensors",
}
MODELS_MAY = STDLIB | {"numpy", "torch", "openvino", "open_clip", "safetensors", "PIL", "faiss"}
DOCTOR_MAY = {"torch"}
"""`doctor` tries every package, so that it alone in the engine may name torch."""


def imports(file: Path) -> set[tuple[str, int]]:
    """Top-level names of absolute imports, and names with dots for relative ones, each with its line."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(alias.name, node.lineno) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(("." * node.level + (node.module or ""), node.lineno))
    return found


def strangers(file: Path, allowed: set[str]) -> list[str]:
    """Absolute imports of a file that its room does not allow, as `file:line name`."""
    return [
        f"{file.name}:{line} {name}"
        for name, line in sorted(imports(file))
        if not name.startswith(".") and name.split(".")[0] not in {*allowed, "rs_text_search_plugin"}
    ]


@pytest.mark.parametrize("file", QGIS_FILES, ids=lambda f: f.name)
def test_qgis_room_imports_only_stdlib_and_qgis(file: Path) -> None:
    assert strangers(file, STDLIB | {"qgis"}) == []


@pytest.mark.parametrize("file", QGIS_FILES, ids=lambda f: f.name)
def test_qgis_room_never_reaches_into_the_other_rooms(file: Path) -> None:
    reached = [name for name, _ in imports(file) if name.lstrip(".").split(".")[0] in {"engine", "models"}]
    assert reached == []


@pytest.mark.parametrize("file", ENGINE_FILES, ids=lambda f: f.name)
def test_engine_room_never_imports_qt_and_leaves_torch_to_the_models(file: Path) -> None:
    allowed = ENGINE_MAY | (DOCTOR_MAY if file.name == "doctor.py" else set())
    assert strangers(file, allowed) == []


@pytest.mark.parametrize("file", MODEL_FILES, ids=lambda f: f.name)
def test_model_room_never_imports_qt_or_rasters(file: Path) -> None:
    assert strangers(file, MODELS_MAY) == []


def test_a_stranger_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "room.py"
    file.write_text("import json\nimport numpy as np\nfrom .types import Match\n")
    assert strangers(file, STDLIB) == ["room.py:2 numpy"]


LOADED = """
import json, pkgutil, sys, importlib
import qgis.core, qgis.gui, qgis.utils, qgis.PyQt.uic, qgis.PyQt.QtSvg  # QGIS's own Python, with what it brings
before = set(sys.modules)
import rs_text_search_plugin
from rs_text_search_plugin import plugin
for module in pkgutil.iter_modules(rs_text_search_plugin.__path__):
    if module.name not in {"engine", "models", "resources"}:
        importlib.import_module("rs_text_search_plugin." + module.name)
loaded = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(loaded - set(sys.stdlib_module_names))))
"""


def test_importing_the_plugin_loads_nothing_but_stdlib_and_qgis() -> None:
    pytest.importorskip("qgis", reason="run by `make test-plugin` on the Python that has QGIS")
    run = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(run.stdout.splitlines()[-1]))
    assert loaded <= {"rs_text_search_plugin", "qgis", "PyQt5", "PyQt6"}
