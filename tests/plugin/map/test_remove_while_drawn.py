"""QGIS survives that match layers are replaced and removed while they are drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_qgis_survives_layers_removed_while_drawn(tmp_path):
    command = [sys.executable, "-m", "tests.plugin.map.remove_while_drawn", "10"]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path)}
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 2
