"""What is searched for: words, words to avoid, and examples that matches should resemble or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtCore import QStringListModel, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QCompleter,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from rs_text_search_plugin.assets import icon

PAUSE_MS = 350  # typing rests this long before a live search
HISTORY = "rs_text_search/history"
RERANK = "rs_text_search/rerank"
RERANK_TIP = (
    "A second model reads the 64 best matches again, together with your words, and puts them into a better order. "
    "Scores stay as they are. It takes a second or two after each search."
)
REMEMBERED = 30
CHIPS_A_ROW = 3


@dataclass(frozen=True)
class Example:
    """A tile the matches should (or should not) look like."""

    index: str
    id: int
    wanted: bool


class QueryBar(QWidget):
    """Emits `typed` when a live search is due and `submitted` when the person asks for one."""

    typed = pyqtSignal()
    submitted = pyqtSignal()
    rerank_switched = pyqtSignal(bool)
    """The person wants the best matches reranked, or no longer."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.examples: list[Example] = []
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.typed)
        self._history = QStringListModel(QgsSettings().value(HISTORY, [], list), self)
        self._build()

    def query(self) -> dict[str, Any]:
        """`text`, `without`, `like` and `unlike` of a search request; empty when there is nothing to seek."""
        text = self.text.text().strip()
        without = self.without.text().strip()
        like = [{"index": e.index, "id": e.id} for e in self.examples if e.wanted]
        unlike = [{"index": e.index, "id": e.id} for e in self.examples if not e.wanted]
        if not text and not like:
            return {}
        given = {"text": text, "without": without, "like": like, "unlike": unlike}
        return {name: value for name, value in given.items() if value}

    def add_example(self, example: Example, *, alone: bool = False) -> None:
        """Add an example and search; `alone` drops words and other examples first."""
        if alone:
            self.clear()
        same = [e for e in self.examples if (e.index, e.id) == (example.index, example.id)]
        self.examples = [e for e in self.examples if e not in same] + [example]
        self._show_chips()
        self.submitted.emit()

    def remove_example(self, example: Example) -> None:
        """Take an example out and search again with what is left."""
        self.examples.remove(example)
        self._show_chips()
        self.submitted.emit()

    def clear(self) -> None:
        """Empty the query without searching."""
        for line in (self.text, self.without):
            line.blockSignals(True)
            line.clear()
            line.blockSignals(False)
        self.examples = []
        self._show_chips()
        self._pause.stop()

    def remember(self) -> None:
        """Put the words at the top of the history offered while typing."""
        text = self.text.text().strip()
        if text:
            kept = [text, *(past for past in self._history.stringList() if past != text)][:REMEMBERED]
            self._history.setStringList(kept)
            QgsSettings().setValue(HISTORY, kept)

    def show_rerank(self, able: bool) -> None:
        """Set the switch to what the person wanted last, if there is a model that can."""
        self.rerank.setChecked(able and QgsSettings().value(RERANK, False, bool))

    def _rerank(self, wanted: bool) -> None:
        QgsSettings().setValue(RERANK, wanted)
        self.rerank_switched.emit(wanted)

    def _build(self) -> None:
        self.text = self._line("Search for", "What to search for, in a few English words, e.g. storage tanks")
        self.text.setShowSearchIcon(True)
        completer = QCompleter(self._history, self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.text.setCompleter(completer)
        self.search_button = self._button("Search", "Search the checked rasters (Enter)", icon("search"))
        self.search_button.clicked.connect(self._submit)
        self.without = self._line("Without", "What the matches should not show, e.g. ships; may stay empty")
        self.rerank = QCheckBox("&Rerank the best matches", self)
        self.rerank.setToolTip(RERANK_TIP)
        self.rerank.setAccessibleName("Rerank the best matches")
        self.rerank.clicked.connect(self._rerank)
        self.chips = QGridLayout()
        self.chips.setSpacing(4)
        row = QHBoxLayout()
        row.addWidget(self.text)
        row.addWidget(self.search_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.without)
        column.addWidget(self.rerank)
        column.addLayout(self.chips)

    def _line(self, name: str, tip: str) -> QgsFilterLineEdit:
        line = QgsFilterLineEdit(self)
        line.setPlaceholderText(f"{name} ...")
        line.setToolTip(tip)
        line.setAccessibleName(name)
        line.textChanged.connect(self._pause.start)
        line.returnPressed.connect(self._submit)
        return line

    def _button(self, text: str, tip: str, image: QIcon | None = None) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(tip)
        button.setAccessibleName(text)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        if image is not None:
            button.setIcon(image)
        return button

    def _submit(self) -> None:
        self._pause.stop()
        self.remember()
        self.submitted.emit()

    def _show_chips(self) -> None:
        while self.chips.count():
            self.chips.takeAt(0).widget().deleteLater()
        for place, example in enumerate(self.examples):
            self.chips.addWidget(self._chip(example), place // CHIPS_A_ROW, place % CHIPS_A_ROW)
        spacer = QLabel(self)
        self.chips.addWidget(spacer, 0, CHIPS_A_ROW)
        self.chips.setColumnStretch(CHIPS_A_ROW, 1)

    def _chip(self, example: Example) -> QToolButton:
        text = f"{'like' if example.wanted else 'not like'} tile {example.id}"
        chip = self._button(f"{text}  ✕", f"Remove the example '{text}'")
        chip.setAccessibleName(f"Remove the example: {text}")
        chip.clicked.connect(lambda: self.remove_example(example))
        return chip
