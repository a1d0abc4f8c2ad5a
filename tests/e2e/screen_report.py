"""Runs inside QGIS (`qgis --code`) and reports four times a second what is on the screen.

RS_TEXT_SEARCH_SCREEN_REPORT names the JSON file: visible widgets by their accessible name or text, open menus, layers,
the map's place, all positions in screen px. It only reads: clicks and keys come from outside.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QPoint, QRect, QTimer
from qgis.PyQt.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QMenu, QTreeWidget, QWidget
from qgis.utils import iface

REPORT = Path(os.environ["RS_TEXT_SEARCH_SCREEN_REPORT"])


def on_screen(widget: QWidget, rect: QRect) -> list[int]:
    corner = widget.mapToGlobal(rect.topLeft())
    return [corner.x(), corner.y(), rect.width(), rect.height()]


def text_of(widget: QWidget) -> str:
    """What stands on a widget."""
    if isinstance(widget, QTreeWidget):
        items = [widget.topLevelItem(row) for row in range(widget.topLevelItemCount())]
        return "\n".join("\t".join(item.text(c) for c in range(widget.columnCount())) for item in items)
    if isinstance(widget, QComboBox):
        return str(widget.currentText())
    text = getattr(widget, "text", None)
    return str(text()) if isinstance(widget, (QLabel, QLineEdit)) or callable(text) else ""


def widgets() -> list[dict[str, Any]]:
    """Every visible widget that has a name or says something."""
    found = []
    for widget in QApplication.allWidgets():
        if not widget.isVisible() or widget.visibleRegion().isEmpty():
            continue
        title = widget.windowTitle() if widget.isWindow() else ""
        name = widget.accessibleName() or widget.toolTip() or title or widget.objectName()
        text = text_of(widget)
        if name or text:
            rect = on_screen(widget, widget.visibleRegion().boundingRect())
            kind = type(widget).__name__
            found.append(
                {"name": name, "text": text, "kind": kind, "rect": rect, "enabled": widget.isEnabled()}
            )
    return found


def menus() -> list[dict[str, Any]]:
    """Entries of the menu bar and of all open menus."""
    opened = [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, QMenu)]
    return [
        {
            "text": action.text().replace("&", ""),
            "enabled": action.isEnabled(),
            "rect": on_screen(menu, menu.actionGeometry(action)),
        }
        for menu in [iface.mainWindow().menuBar(), *opened]
        if menu.isVisible()
        for action in menu.actions()
        if action.text()
    ]


def layers() -> list[dict[str, Any]]:
    return [
        {
            "name": layer.name(),
            "features": layer.featureCount() if isinstance(layer, QgsVectorLayer) else None,
        }
        for layer in QgsProject.instance().mapLayers().values()
    ]


def canvas() -> dict[str, Any]:
    view, extent = iface.mapCanvas(), iface.mapCanvas().extent()
    corner = view.mapToGlobal(QPoint(0, 0))
    return {
        "rect": [corner.x(), corner.y(), view.width(), view.height()],
        "extent": [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()],
        "drawing": view.isDrawing(),
    }


def report() -> None:
    window = on_screen(iface.mainWindow(), iface.mainWindow().rect())
    state = {"window": window, "widgets": widgets(), "menus": menus(), "layers": layers(), "canvas": canvas()}
    fresh = REPORT.with_suffix(".new")
    fresh.write_text(json.dumps(state), encoding="utf-8")
    fresh.replace(REPORT)


timer = QTimer(iface.mainWindow())
timer.timeout.connect(report)
timer.start(250)
