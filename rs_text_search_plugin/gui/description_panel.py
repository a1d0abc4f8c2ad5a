"""What stands in a tile: a sentence and its tags with their scores."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from rs_text_search_plugin.translation import tr

from .controls import fill, named, row, tool_button, wrapped_label
from .score_bar import ScoreBar

Json = dict[str, Any]
TAGS = 6
"""Tags shown at most."""


class DescriptionPanel(QFrame):
    """Hidden until there is a tile to describe."""

    closed = pyqtSignal()
    example_added = pyqtSignal(dict, bool)
    """The described tile (`index`, `id`), and True for more like it, False for less."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.described: Json = {}
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName(tr("Description of a tile"))
        self.title = QLabel(self)
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        self.sentence = wrapped_label(self, tr("Description"))
        self.sentence.setTextFormat(Qt.TextFormat.PlainText)
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.tags = QGridLayout()
        self.tags.setHorizontalSpacing(8)
        self.tags.setVerticalSpacing(2)
        self.tags.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 6, 8)
        fill(layout, self._build_head(), self.sentence, self.tags)
        self.hide()

    def show_description(self, described: Json, raster: str) -> None:
        """Show the engine's answer about a tile of the raster called `raster`."""
        self.described = described
        self.title.setText(tr("Tile {}").format(described["id"]))
        self.title.setToolTip(tr("Tile {} of {}").format(described["id"], raster))
        self.sentence.setText(described["sentence"])
        self._empty_tags()
        for line, tag in enumerate(described["tags"][:TAGS]):
            self._add_tag(line, tag)
        self._allow_examples(True)
        self.show()

    def show_waiting(self) -> None:
        """Tell that the engine works on it; the first description takes a few seconds."""
        self.described = {}
        self.title.clear()
        self.sentence.setText(tr("Describing ..."))
        self._empty_tags()
        self._allow_examples(False)
        self.show()

    def dismiss(self) -> None:
        """Hide and tell so."""
        self.described = {}
        self.hide()
        self.closed.emit()

    def _empty_tags(self) -> None:
        while self.tags.count():
            self.tags.takeAt(0).widget().deleteLater()

    def _add_tag(self, line: int, tag: Json) -> None:
        score, label = f"{tag['score']:.0f}", tag.get("label") or tag["name"]
        bar = named(
            ScoreBar(tag["score"], self),
            tr("{}: {} of 100").format(label, score),
            tr("{}, {} of 100").format(tag["group"], score),
        )
        self.tags.addWidget(QLabel(label, self), line, 0)
        self.tags.addWidget(bar, line, 1)
        self.tags.addWidget(QLabel(score, self), line, 2, Qt.AlignmentFlag.AlignRight)

    def _build_head(self) -> QHBoxLayout:
        more, less = tr("Search for tiles similar to this one"), tr("Search for tiles unlike this one")
        self.example_buttons = [
            tool_button(self, tr("More like this"), more),
            tool_button(self, tr("Less"), less),
        ]
        self.example_buttons[0].clicked.connect(lambda: self.example_added.emit(self.described, True))
        self.example_buttons[1].clicked.connect(lambda: self.example_added.emit(self.described, False))
        close = tool_button(self, "✕", tr("Close the description"))
        close.clicked.connect(self.dismiss)
        for button in (*self.example_buttons, close):
            button.setAutoRaise(True)
        return row(self.title, *self.example_buttons, close, stretch=0)

    def _allow_examples(self, allowed: bool) -> None:
        for button in self.example_buttons:
            button.setEnabled(allowed)
