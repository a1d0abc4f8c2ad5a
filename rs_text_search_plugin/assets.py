"""Files of `resources/`: inside the plugin once packaged, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QByteArray
from qgis.PyQt.QtGui import QIcon, QPalette, QPixmap
from qgis.PyQt.QtWidgets import QPushButton

HERE = Path(__file__).parent
LINE_COLOUR = "#44525e"
"""Colour of the lines in our icons; drawn in the colour of text, so that they show on every theme."""
ICON_SIDE = 96
"""px; sharp in a toolbar on a screen of 300 %."""


def resource(name: str) -> Path:
    """Path of the file called `name` in resources."""
    packaged = HERE / "resources" / name
    return packaged if packaged.exists() else HERE.parent / "resources" / name


def icon(name: str) -> QIcon:
    """One of our own icons, `name` without extension, with its lines in the theme's colour of text."""
    drawing = resource(f"{name}.svg").read_text(encoding="utf-8")
    drawing = drawing.replace(LINE_COLOUR, text_colour())
    drawing = drawing.replace("<svg ", f'<svg width="{ICON_SIDE}" height="{ICON_SIDE}" ', 1)
    pixmap = QPixmap()
    pixmap.loadFromData(QByteArray(drawing.encode()), "SVG")
    return QIcon(pixmap)


def text_colour() -> str:
    """Colour of the text on a button, as #rrggbb; QGIS's dark themes set it in a style sheet, not in the palette."""
    button = QPushButton()
    button.ensurePolished()
    return str(button.palette().color(QPalette.ColorRole.ButtonText).name())
