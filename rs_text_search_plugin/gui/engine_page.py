"""What the panel shows while there is no engine: what is missing, one button, and how far the setup is."""

from __future__ import annotations

from html import escape

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QPlainTextEdit, QProgressBar, QVBoxLayout, QWidget

from rs_text_search_plugin.assets import icon
from rs_text_search_plugin.translation import tr

from .controls import fill, named, push_button, wrapped_label

LOG_LINES = 500


class EnginePage(QWidget):
    """States: missing, starting, being set up, stopped with a reason."""

    setup_wanted = pyqtSignal()
    cancel_wanted = pyqtSignal()
    start_wanted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = wrapped_label(self, tr("State of the search engine"))
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._build_buttons()
        tip = tr("Progress of the engine's setup or start")
        self.bar = named(QProgressBar(self), tr("Progress of the engine's setup"), tip)
        self.log = named(QPlainTextEdit(self), tr("What the setup is doing"))
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(LOG_LINES)
        layout = QVBoxLayout(self)
        fill(layout, self.text, self.setup_button, self.start_button, self.bar, self.cancel_button)
        layout.addWidget(self.log, 1)
        layout.addStretch()
        self.show_starting()

    def show_missing(self, reason: str = "") -> None:
        """There is no environment; `reason` tells what went wrong with the last one."""
        self._show(missing_text() + (f"<p>{escape(reason)}</p>" if reason else ""), self.setup_button)

    def show_starting(self, reason: str = "") -> None:
        """The engine has been started and has not answered yet; `reason` tells why the last one ended."""
        text = f"<p>{tr('The search engine is starting. The first start takes a while.')}</p>"
        if reason:
            text += f"<p>{escape(tr('It had stopped: {}.').format(reason))}</p>"
        self.bar.setRange(0, 0)
        self._show(text, self.bar)

    def show_building(self) -> None:
        """The environment is being built; lines and progress follow."""
        title = tr("Setting up the search engine.")
        rest = tr("This takes a few minutes; QGIS can be used meanwhile.")
        self.log.clear()
        self.bar.setRange(0, 0)
        self._show(f"<p><b>{title}</b> {rest}</p>", self.bar, self.cancel_button, self.log)

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
        text = f"<p><b>{tr('The search engine stopped.')}</b></p><p>{escape(reason)}</p>"
        self._show(text, self.start_button, self.setup_button)

    def _show(self, text: str, *visible: QWidget) -> None:
        self.text.setText(text)
        for widget in (self.setup_button, self.start_button, self.cancel_button, self.bar, self.log):
            widget.setVisible(widget in visible)

    def _build_buttons(self) -> None:
        tip = tr("Build the engine's own Python environment, once")
        self.setup_button = push_button(self, tr("&Set up engine"), tip, icon("setup"))
        self.setup_button.clicked.connect(self.setup_wanted)
        self.start_button = push_button(self, tr("S&tart again"), tr("Start the search engine again"))
        self.start_button.clicked.connect(self.start_wanted)
        tip = tr("Stop the setup; a later setup starts anew")
        self.cancel_button = push_button(self, tr("&Cancel"), tip)
        self.cancel_button.clicked.connect(self.cancel_wanted)


def missing_text() -> str:
    """What the engine is and what setting it up takes, as rich text."""
    title = tr("The search engine is not set up yet.")
    rest = tr(
        "It runs beside QGIS in its own Python environment, so that nothing of QGIS is changed. "
        "Setting it up downloads about 0.5 GB from the Python package index and takes 1.8 GB on disk; "
        "if more is needed, for an NVIDIA card on Linux, you are asked first. "
        "After that everything happens on this computer."
    )
    return f"<p><b>{title}</b></p><p>{rest}</p>"
