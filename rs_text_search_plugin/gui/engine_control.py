"""Looks after the engine on the panel's behalf: finds it, starts it, sets it up, and says where it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QObject, Qt, QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices, QGuiApplication
from qgis.PyQt.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QMenu, QMessageBox, QToolButton, QWidget

from rs_text_search_plugin.assets import resource
from rs_text_search_plugin.engine_process.client import EngineClient
from rs_text_search_plugin.engine_process.environment import Environment, diagnostics, find_python
from rs_text_search_plugin.engine_process.setup_command import SetupError

from .engine_page import EnginePage


class EngineControl(QObject):
    """`page` stands in for the panel while there is no engine; `footer` always stands below it."""

    ready = pyqtSignal()
    gone = pyqtSignal()
    models_wanted = pyqtSignal()
    complained = pyqtSignal(str, str)
    """Something went wrong that the person should know: what happened, and what to do."""

    def __init__(self, engine: EngineClient, parent: QWidget) -> None:
        super().__init__(parent)
        self.engine = engine
        self.environment = Environment(self)
        self.page = EnginePage(parent)
        self.footer = self._build_footer(parent)
        engine.ready.connect(self._greet)
        engine.restarting.connect(self._restarting)
        engine.stopped.connect(self._stopped)
        self.page.setup_wanted.connect(self.build)
        self.page.start_wanted.connect(self.start)
        self.page.cancel_wanted.connect(self.environment.cancel)
        self.environment.said.connect(self.page.show_line)
        self.environment.progress.connect(self.page.show_progress)
        self.environment.asked.connect(self._ask)
        self.environment.built.connect(self.engine.start)
        self.environment.failed.connect(self._build_failed)

    def start(self) -> None:
        """Start the engine, or say that there is none."""
        if self.engine.is_ready():
            self._greet(self.engine.hello)
            return
        python = find_python()
        if python is None:
            self.page.show_missing()
        elif not self.engine.is_running():
            self.page.show_starting()
            self.engine.start(python.path)

    def build(self) -> None:
        """Build the engine's environment, anew if there is one."""
        self._build()

    def build_from_folder(self) -> None:
        """Build it from a folder of wheels that the person names, without a network."""
        folder = QFileDialog.getExistingDirectory(self.footer, "Folder of wheels")
        if folder:
            self._build(Path(folder))

    def remove(self) -> None:
        """Delete the engine's environment after asking."""
        question = "Remove the search engine's Python environment? Indexes and exports stay."
        answer = QMessageBox.question(self.footer, "Remove engine", question)
        if answer != QMessageBox.StandardButton.Yes:
            return
        self.engine.stop()
        try:
            self.environment.remove()
        except SetupError as error:
            self.complained.emit(error.message, error.hint)
        self.start()

    def copy_diagnostics(self) -> None:
        """Put versions, device and the last log lines into the clipboard."""
        report = diagnostics(self.engine.hello, self.engine.diagnostics(), list(self.environment.log))
        QGuiApplication.clipboard().setText(report)

    def detach(self) -> None:
        """Stop listening to the engine and stop what is being built."""
        self.environment.cancel()
        self.engine.ready.disconnect(self._greet)
        self.engine.restarting.disconnect(self._restarting)
        self.engine.stopped.disconnect(self._stopped)

    def _greet(self, hello: dict[str, Any]) -> None:
        device = hello["device"]
        self.device.setText(
            f"{device['label']} ({device['reason']})" if device["reason"] else device["label"]
        )
        self.ready.emit()

    def _restarting(self, reason: str) -> None:
        self.page.show_starting(reason)
        self.gone.emit()

    def _stopped(self, reason: str) -> None:
        self.device.clear()
        self.gone.emit()
        if reason:
            self.page.show_stopped(reason)

    def _build(self, wheels: Path | None = None) -> None:
        self.engine.stop()
        self.page.show_building()
        self.environment.build(wheels)

    def _ask(self, question: str) -> None:
        answer = QMessageBox.question(self.footer, "Set up engine", question)
        self.environment.answer(answer == QMessageBox.StandardButton.Yes)

    def _build_failed(self, message: str, hint: str) -> None:
        if find_python() is None:
            self.page.show_missing(f"{message} {hint}")
        else:
            self.page.show_stopped(f"{message} {hint}")

    def _build_footer(self, parent: QWidget) -> QWidget:
        footer = QWidget(parent)
        self.device = QLabel(footer)
        self.device.setEnabled(False)
        self.device.setWordWrap(True)
        self.device.setToolTip("What the model runs on, and why")
        self.device.setAccessibleName("Device")
        self.menu_button = QToolButton(footer)
        self.menu_button.setText("En&gine")
        self.menu_button.setToolTip("Models; help; set up, repair or remove the search engine; diagnostics")
        self.menu_button.setAccessibleName("Engine menu")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu_button.setAutoRaise(True)
        self.menu_button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.menu_button.setMenu(self._build_menu(footer))
        row = QHBoxLayout(footer)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.device, 1)
        row.addWidget(self.menu_button)
        return footer

    def _build_menu(self, parent: QWidget) -> QMenu:
        menu = QMenu(parent)
        menu.addAction("Help", open_help)
        menu.addAction("Models ...", self.models_wanted.emit)
        menu.addAction("Copy diagnostics", self.copy_diagnostics)
        menu.addSeparator()
        menu.addAction("Set up or repair engine ...", self.build)
        menu.addAction("Install from a folder of wheels ...", self.build_from_folder)
        menu.addAction("Remove engine ...", self.remove)
        return menu


def open_help() -> None:
    """Show the help page in the person's browser."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(resource("help.html"))))
