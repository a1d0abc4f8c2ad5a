"""Keeps an engine for the panel: finds it, starts it, sets it up, and shows what it runs on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QObject, QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices, QGuiApplication
from qgis.PyQt.QtWidgets import QFileDialog, QMenu, QMessageBox, QToolButton, QWidget

from rs_text_search_plugin.assets import resource
from rs_text_search_plugin.engine_process.client import EngineClient
from rs_text_search_plugin.engine_process.environment import Environment, diagnostics, find_python
from rs_text_search_plugin.engine_process.setup_command import SetupError
from rs_text_search_plugin.translation import tr

from .controls import column, row, tool_button, wrapped_label
from .dialogs.setup_dialog import confirm_setup
from .engine_page import EnginePage


class EngineControl(QObject):
    """`page` stands in for the panel while there is no engine; `footer` always stands below it."""

    ready = pyqtSignal()
    gone = pyqtSignal()
    models_wanted = pyqtSignal()
    failed = pyqtSignal(str, str)
    """What happened, and what to do."""

    def __init__(self, engine: EngineClient, parent: QWidget) -> None:
        super().__init__(parent)
        self.engine = engine
        self.environment = Environment(self)
        self.page = EnginePage(parent)
        self.footer = self._build_footer(parent)
        engine.ready.connect(self._engine_ready)
        engine.restarting.connect(self._engine_restarting)
        engine.stopped.connect(self._engine_stopped)
        self.page.setup_wanted.connect(self.build)
        self.page.start_wanted.connect(self.start)
        self.page.cancel_wanted.connect(self.environment.cancel)
        self.environment.said.connect(self.page.show_line)
        self.environment.progress.connect(self.page.show_progress)
        self.environment.asked.connect(self._ask)
        self.environment.built.connect(self.engine.start)
        self.environment.failed.connect(self._build_failed)

    def start(self) -> None:
        """Start the engine, or show that there is none."""
        if self.engine.is_ready():
            self._engine_ready(self.engine.hello)
            return
        python = find_python()
        if python is None:
            self.page.show_missing()
        elif not self.engine.is_running():
            self.page.show_starting()
            self.engine.start(python.path)

    def reason_not_ready(self) -> str:
        """What the engine is doing instead of answering, as a clause; empty when it is ready."""
        if self.engine.is_ready():
            return ""
        if self.environment.building():
            return tr("the search engine is being set up")
        if self.engine.is_running():
            return tr("the search engine is starting")
        if find_python() is None:
            return tr("the search engine is not set up; the Text Search panel does it")
        if self.page.isVisible():
            return tr("the search engine has stopped; the Text Search panel starts it again")
        return tr("open the Text Search panel first")

    def build(self) -> None:
        """Build the engine's environment, anew if there is one."""
        self._build()

    def build_from_folder(self) -> None:
        """Build it from a folder of wheels that the person names, without a network."""
        folder = QFileDialog.getExistingDirectory(self.footer, tr("Folder of wheels"))
        if folder:
            self._build(Path(folder))

    def repair(self) -> None:
        """Build it after asking."""
        if confirm_setup(self.footer):
            self.build()

    def remove(self) -> None:
        """Delete the engine's environment after asking."""
        question = tr("Remove the search engine's Python environment? Indexes and exports stay.")
        answer = QMessageBox.question(self.footer, tr("Remove engine"), question)
        if answer != QMessageBox.StandardButton.Yes:
            return
        self.engine.stop()
        try:
            self.environment.remove()
        except SetupError as error:
            self.failed.emit(error.message, error.hint)
        self.start()

    def copy_diagnostics(self) -> None:
        """Put versions, device and the last log lines into the clipboard."""
        report = diagnostics(self.engine.hello, self.engine.diagnostics(), list(self.environment.log))
        QGuiApplication.clipboard().setText(report)

    def detach(self) -> None:
        """Stop listening to the engine and stop what is being built."""
        self.environment.cancel()
        self.engine.ready.disconnect(self._engine_ready)
        self.engine.restarting.disconnect(self._engine_restarting)
        self.engine.stopped.disconnect(self._engine_stopped)

    def _engine_ready(self, hello: dict[str, Any]) -> None:
        label, reason = hello["device"]["label"], hello["device"]["reason"]
        self.device.setText(f"{label} ({reason})" if reason else label)
        self.ready.emit()

    def _engine_restarting(self, reason: str) -> None:
        self.page.show_starting(reason)
        self.gone.emit()

    def _engine_stopped(self, reason: str) -> None:
        self.device.clear()
        self.gone.emit()
        if reason:
            self.page.show_stopped(reason)

    def _build(self, wheels: Path | None = None) -> None:
        self.engine.stop()
        self.page.show_building()
        self.environment.build(wheels)

    def _ask(self, question: str) -> None:
        answer = QMessageBox.question(self.footer, tr("Set up engine"), question)
        self.environment.answer(answer == QMessageBox.StandardButton.Yes)

    def _build_failed(self, message: str, hint: str) -> None:
        if find_python() is None:
            self.page.show_missing(f"{message} {hint}")
        else:
            self.page.show_stopped(f"{message} {hint}")

    def _build_footer(self, parent: QWidget) -> QWidget:
        footer = QWidget(parent)
        self.device = wrapped_label(footer, tr("Device"), tr("What the model runs on, and why"))
        column(footer, row(self.device, self._build_menu_button(footer), stretch=0))
        return footer

    def _build_menu_button(self, footer: QWidget) -> QToolButton:
        tip = tr("Models; help; set up, repair or remove the search engine; diagnostics")
        self.menu_button = tool_button(footer, tr("En&gine"), tr("Engine menu"), tip)
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu_button.setAutoRaise(True)
        self.menu_button.setMenu(self._build_menu(footer))
        return self.menu_button

    def _build_menu(self, parent: QWidget) -> QMenu:
        menu = QMenu(parent)
        menu.addAction(tr("Help"), open_help)
        menu.addAction(tr("Models ..."), self.models_wanted.emit)
        menu.addAction(tr("Copy diagnostics"), self.copy_diagnostics)
        menu.addSeparator()
        menu.addAction(tr("Set up or repair engine ..."), self.repair)
        menu.addAction(tr("Install from a folder of wheels ..."), self.build_from_folder)
        menu.addAction(tr("Remove engine ..."), self.remove)
        return menu


def open_help() -> None:
    """Show the help page in the person's browser."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(resource("help.html"))))
