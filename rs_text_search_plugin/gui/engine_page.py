"""What the panel shows while there is no engine: what is missing, one button, and how far the setup is."""

from __future__ import annotations

from html import escape

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QLabel, QPlainTextEdit, QProgressBar, QPushButton, QVBoxLayout, QWidget

from rs_text_search_plugin.assets import icon

MISSING = (
    "<p><b>The search engine is not set up yet.</b></p>"
    "<p>It runs beside QGIS in its own Python environment, so that nothing of QGIS is changed. "
    "Setting it up downloads about 0.4 GB from the Python package index and takes 1.7 GB on disk; "
    "if more is needed, for an NVIDIA card on Linux, you are asked first. "
    "After that everything happens on this computer.</p>"
)
BUILDING = "<p><b>Setting up the search engine.</b> This takes a few minutes; QGIS stays free meanwhile.</p>"
STARTING = "<p><b>Starting the search engine ...</b></p>"


class EnginePage(QWidget):
    """States: missing, starting, at work, stopped with a reason."""

    setup_wanted = pyqtSignal()
    cancel_wanted = pyqtSignal()
    start_wanted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel(self)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setAccessibleName("State of the search engine")
        self.setup_button = self._button("&Set up engine", "Build the engine's own Python environment, once")
        self.setup_button.setIcon(icon("setup"))
        self.setup_button.clicked.connect(self.setup_wanted)
        self.start_button = self._button("S&tart again", "Start the search engine again")
        self.start_button.clicked.connect(self.start_wanted)
        self.cancel_button = self._button("&Cancel", "Stop the setup; a later setup starts anew")
        self.cancel_button.clicked.connect(self.cancel_wanted)
        self.bar = QProgressBar(self)
        self.bar.setAccessibleName("Progress of the engine's setup")
        self.bar.setToolTip("Progress of the engine's setup or start")
        self.log = QPlainTextEdit(self)
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(500)
        self.log.setAccessibleName("What the setup is doing")
        self.log.setToolTip("What the setup is doing")
        column = QVBoxLayout(self)
        for widget in (self.text, self.setup_button, self.start_button, self.bar, self.cancel_button):
            column.addWidget(widget)
        column.addWidget(self.log, 1)
        column.addStretch()
        self.show_starting()

    def show_missing(self, reason: str = "") -> None:
        """There is no environment; `reason` says what went wrong with the last one."""
        self._show(MISSING + (f"<p>{escape(reason)}</p>" if reason else ""), self.setup_button)

    def show_starting(self, reason: str = "") -> None:
        """The engine has been started and has not answered yet; `reason` says why the last one ended."""
        self.bar.setRange(0, 0)
        self._show(STARTING + (f"<p>It had stopped: {escape(reason)}.</p>" if reason else ""), self.bar)

    def show_building(self) -> None:
        """The environment is being built; lines and progress follow."""
        self.log.clear()
        self.bar.setRange(0, 0)
        self._show(BUILDING, self.bar, self.cancel_button, self.log)

    def show_line(self, line: str) -> None:
        """A line of what the build is doing."""
        self.bar.setRange(0, 0)
        self.log.appendPlainText(line)

    def show_progress(self, part: float) -> None:
        """The part of a download that is here, 0-1."""
        self.bar.setRange(0, 100)
        self.bar.setValue(round(100 * part))

    def show_stopped(self, reason: str) -> None:
        """The engine ended."""
        text = f"<p><b>The search engine stopped.</b></p><p>{escape(reason)}</p>"
        self._show(text, self.start_button, self.setup_button)

    def _show(self, text: str, *visible: QWidget) -> None:
        self.text.setText(text)
        for widget in (self.setup_button, self.start_button, self.cancel_button, self.bar, self.log):
            widget.setVisible(widget in visible)

    def _button(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        return button
