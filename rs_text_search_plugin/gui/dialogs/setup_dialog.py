"""Asks before the engine's Python environment is made, or made anew."""

from __future__ import annotations

from qgis.PyQt.QtWidgets import QMessageBox, QWidget

from rs_text_search_plugin.engine_process.environment import find_python, private_folder
from rs_text_search_plugin.translation import tr


def confirm_setup(parent: QWidget) -> bool:
    """Tell what setup or repair will do; True when the person agrees."""
    box = QMessageBox(parent)
    box.setWindowTitle(tr("Set up or repair engine"))
    box.setIcon(QMessageBox.Icon.Question)
    box.setText(tr("Build the search engine's Python environment now?"))
    box.setInformativeText(setup_text())
    start = box.addButton(tr("&Build"), QMessageBox.ButtonRole.AcceptRole)
    box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(start)
    box.exec()
    return bool(box.clickedButton() is start)


def setup_text() -> str:
    """What will be downloaded, where it goes, and what becomes of the engine that runs now."""
    lines = [
        tr("About 0.5 GB are downloaded from the Python package index; 1.8 GB are taken in {}.").format(
            private_folder()
        ),
        tr("It takes a few minutes. Indexes, models and results stay."),
    ]
    python = find_python()
    if python is not None:
        lines.append(tr("The engine in use ({}) stops meanwhile.").format(python.origin))
    return "\n\n".join(lines)
