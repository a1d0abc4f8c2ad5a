"""Files of `resources/`: inside the plugin once packaged, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtGui import QIcon

HERE = Path(__file__).parent


def resource(name: str) -> Path:
    """Path of the file called `name` in resources."""
    packaged = HERE / "resources" / name
    return packaged if packaged.exists() else HERE.parent / "resources" / name


def icon(name: str) -> QIcon:
    """One of our own icons, `name` without extension."""
    return QIcon(str(resource(f"{name}.svg")))
