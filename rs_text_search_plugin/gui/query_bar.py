"""The query: words, words to avoid, and example tiles that matches should resemble or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtCore import QStringListModel, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QCompleter, QGridLayout, QPushButton, QToolButton, QWidget

from rs_text_search_plugin.assets import icon
from rs_text_search_plugin.translation import tr

from .controls import column, named, row, tool_button

PAUSE_MS = 350
"""Typing rests this long before a live search."""
HISTORY = "rs_text_search/history"
RERANK = "rs_text_search/rerank"
HISTORY_LENGTH = 30
EXAMPLES_A_ROW = 3


@dataclass(frozen=True)
class Example:
    """A tile that the matches should (or should not) resemble."""

    index: str
    id: int
    wanted: bool


class QueryBar(QWidget):
    """Emits `typed` when a live search is due and `submitted` when the person asks for one."""

    typed = pyqtSignal()
    submitted = pyqtSignal()
    rerank_switched = pyqtSignal(bool)
    """The person wants the best matches reranked, or no longer."""

    examples_changed = pyqtSignal(list, list)
    """The person changed the examples: those before and those now."""

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
        """`text`, `without`, `like` and `unlike` of a search request; empty when there is nothing to search for."""
        text = self.text.text().strip()
        without = self.without.text().strip()
        like = [{"index": e.index, "id": e.id} for e in self.examples if e.wanted]
        unlike = [{"index": e.index, "id": e.id} for e in self.examples if not e.wanted]
        if not text and not like:
            return {}
        given = {"text": text, "without": without, "like": like, "unlike": unlike}
        return {name: value for name, value in given.items() if value}

    def typing(self) -> bool:
        """Whether `typed` is still to come for what was typed last."""
        return self._pause.isActive()

    def search_for(self, text: str) -> None:
        """Put a phrase into the line and search for it."""
        self.text.setText(text)
        self._submit()

    def show_query(self, query: dict[str, Any]) -> None:
        """Show what `query` gave, without searching."""
        self.clear()
        for line, name in ((self.text, "text"), (self.without, "without")):
            line.blockSignals(True)
            line.setText(query.get(name, ""))
            line.blockSignals(False)
        marked = [(tile, name == "like") for name in ("like", "unlike") for tile in query.get(name, ())]
        self.examples = [Example(tile["index"], tile["id"], wanted) for tile, wanted in marked]
        self._show_examples()

    def set_examples(self, examples: list[Example]) -> None:
        """Search with other examples."""
        self.examples = examples
        self._show_examples()
        self.submitted.emit()

    def add_example(self, example: Example, *, alone: bool = False) -> None:
        """Add an example and search; `alone` drops words and other examples first."""
        if alone:
            self.clear()
        same = [e for e in self.examples if (e.index, e.id) == (example.index, example.id)]
        self._change_examples([*(e for e in self.examples if e not in same), example])

    def remove_example(self, example: Example) -> None:
        """Take an example out and search again with what is left."""
        self._change_examples([other for other in self.examples if other != example])

    def keep_examples_of(self, indexes: set[str]) -> None:
        """Drop examples from indexes that are gone or have been made anew, without searching."""
        kept = [example for example in self.examples if example.index in indexes]
        if kept != self.examples:
            self.examples = kept
            self._show_examples()

    def clear(self) -> None:
        """Empty the query without searching."""
        for line in (self.text, self.without):
            line.blockSignals(True)
            line.clear()
            line.blockSignals(False)
        self.examples = []
        self._show_examples()
        self._pause.stop()

    def remember(self) -> None:
        """Put the words at the top of the history offered while typing."""
        text = self.text.text().strip()
        if text:
            kept = [text, *(past for past in self._history.stringList() if past != text)][:HISTORY_LENGTH]
            self._history.setStringList(kept)
            QgsSettings().setValue(HISTORY, kept)

    def show_rerank(self, able: bool) -> None:
        """Set the switch to what the person wanted last, if there is a model that can."""
        self.rerank.setChecked(able and QgsSettings().value(RERANK, False, bool))

    def _change_examples(self, examples: list[Example]) -> None:
        before = self.examples
        self.set_examples(examples)
        self.examples_changed.emit(before, examples)

    def _switch_rerank(self, wanted: bool) -> None:
        QgsSettings().setValue(RERANK, wanted)
        self.rerank_switched.emit(wanted)

    def _submit(self) -> None:
        self._pause.stop()
        self.remember()
        self.submitted.emit()

    def _build(self) -> None:
        tip = tr("What to search for, in a few English words, e.g. storage tanks")
        self.text = self._line(tr("Search for"), tip)
        completer = QCompleter(self._history, self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.text.setCompleter(completer)
        tip = tr("Search the checked rasters (Enter)")
        self.search_button = named(QPushButton(icon("search"), "", self), tr("Search"), tip)
        self.search_button.clicked.connect(self._submit)
        tip = tr("What the matches should not show, e.g. ships; may stay empty")
        self.without = self._line(tr("Without"), tip)
        self.examples_grid = QGridLayout()
        self.examples_grid.setSpacing(4)
        self.examples_grid.setColumnStretch(EXAMPLES_A_ROW, 1)
        top = row(self.text, self.search_button, stretch=0)
        column(self, top, self.without, self._build_rerank(), self.examples_grid)

    def _build_rerank(self) -> QCheckBox:
        tip = tr(
            "A second model reads the 64 best matches again, together with your words, and puts them into a better "
            "order. Scores stay as they are. It takes a second or two after each search."
        )
        self.rerank = named(
            QCheckBox(tr("&Rerank the best matches"), self), tr("Rerank the best matches"), tip
        )
        self.rerank.clicked.connect(self._switch_rerank)
        return self.rerank

    def _line(self, name: str, tip: str) -> QgsFilterLineEdit:
        line = named(QgsFilterLineEdit(self), name, tip)
        line.setPlaceholderText(f"{name} ...")
        line.textChanged.connect(self._pause.start)
        line.returnPressed.connect(self._submit)
        return line

    def _show_examples(self) -> None:
        while self.examples_grid.count():
            self.examples_grid.takeAt(0).widget().deleteLater()
        for place, example in enumerate(self.examples):
            button = self._example_button(example)
            self.examples_grid.addWidget(button, place // EXAMPLES_A_ROW, place % EXAMPLES_A_ROW)

    def _example_button(self, example: Example) -> QToolButton:
        text = tr("like tile {}") if example.wanted else tr("not like tile {}")
        text = text.format(example.id)
        button = tool_button(self, f"{text}  ✕", tr("Remove the example: {}").format(text))
        button.clicked.connect(lambda: self.remove_example(example))
        return button
