"""What stands in a tile: a sentence and its tags with their scores."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QPalette
from qgis.PyQt.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from rs_text_search_plugin.map.styles import score_colour

TAGS = 6  # shown at most


class DescriptionPanel(QFrame):
    """Hidden until it has something to say."""

    closed = pyqtSignal()
    example_added = pyqtSignal(dict, bool)
    """The described tile (`index`, `id`), and True for more like it, False for less."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.described: dict[str, Any] = {}
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName("Description of a tile")
        self.title = QLabel(self)
        self.sentence = QLabel(self)
        self.sentence.setWordWrap(True)
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.sentence.setAccessibleName("Description")
        self.tags = QGridLayout()
        self.tags.setHorizontalSpacing(8)
        self.tags.setVerticalSpacing(2)
        self.tags.setColumnStretch(1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 6, 8)
        column.addLayout(self._build_head())
        column.addWidget(self.sentence)
        column.addLayout(self.tags)
        self.hide()

    def show_description(self, described: dict[str, Any], raster: str) -> None:
        """Show the engine's answer about a tile of the raster called `raster`."""
        self.described = described
        self.title.setText(f"<b>Tile {described['id']}</b>")
        self.title.setToolTip(f"Tile {described['id']} of {raster}")
        self.sentence.setText(described["sentence"])
        self._empty_tags()
        for row, tag in enumerate(described["tags"][:TAGS]):
            self._add_tag(row, tag)
        self._allow_examples(True)
        self.show()

    def show_waiting(self) -> None:
        """Say that the engine is looking; the first description takes a few seconds."""
        self.described = {}
        self.title.clear()
        self.sentence.setText("Looking ...")
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

    def _add_tag(self, row: int, tag: dict[str, Any]) -> None:
        bar = QProgressBar(self)
        bar.setRange(0, 100)
        bar.setValue(round(tag["score"]))
        bar.setTextVisible(False)
        bar.setFixedHeight(8)
        colours = bar.palette()
        colours.setColor(QPalette.ColorRole.Highlight, score_colour(tag["score"]))
        bar.setPalette(colours)
        bar.setAccessibleName(f"{tag['name']}: {tag['score']:.0f} of 100")
        bar.setToolTip(f"{tag['group']}, {tag['score']:.0f} of 100")
        self.tags.addWidget(QLabel(tag["name"], self), row, 0)
        self.tags.addWidget(bar, row, 1)
        self.tags.addWidget(QLabel(f"{tag['score']:.0f}", self), row, 2, Qt.AlignmentFlag.AlignRight)

    def _build_head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(self.title, 1)
        self.buttons = []
        for text, tip, slot in (
            ("More like this", "Search for tiles that look like this one", lambda: self._example(True)),
            ("Less", "Search for tiles that do not look like this one", lambda: self._example(False)),
            ("✕", "Close the description", self.dismiss),
        ):
            button = QToolButton(self)
            button.setText(text)
            button.setToolTip(tip)
            button.setAccessibleName(tip)
            button.setAutoRaise(True)
            button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            button.clicked.connect(slot)
            row.addWidget(button)
            self.buttons.append(button)
        return row

    def _allow_examples(self, allowed: bool) -> None:
        for button in self.buttons[:2]:
            button.setEnabled(allowed)

    def _example(self, wanted: bool) -> None:
        self.example_added.emit(self.described, wanted)
