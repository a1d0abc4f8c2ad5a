"""The Processing algorithms in `qgis_process`: index, search, export, without a desktop."""

from __future__ import annotations

import shutil

# Debian's wrapper hands the program an option it does not know; the program itself is fine.
PROGRAM = shutil.which("qgis_process.bin") or shutil.which("qgis_process") or "qgis_process"
