"""Keep, undo, and the kept results: what a person does with results that are to last."""

from __future__ import annotations

from typing import Callable

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeySequence
from qgis.PyQt.QtWidgets import QMessageBox, QToolButton, QWidget

from rs_text_search_plugin.contracts.errors import SearchError
from rs_text_search_plugin.engine_process.client import EngineClient, EngineError, Json
from rs_text_search_plugin.gui.controls import column, named, push_button, row
from rs_text_search_plugin.map.kept_layers import KeptLayers
from rs_text_search_plugin.map.layer_group import matches_layer
from rs_text_search_plugin.map.result_layers import ResultLayers
from rs_text_search_plugin.results_store.comparison import compare
from rs_text_search_plugin.results_store.stored_result import StoredResult
from rs_text_search_plugin.translation import tr

from .classification import Classification
from .classify_dialog import ClassifyDialog
from .kept_list import KeptList
from .undo import Act, QUndoStack, Step


class KeptPanel(QWidget):
    """Acts on the map's layers by itself and tells the panel what it must follow."""

    review_wanted = pyqtSignal()
    released = pyqtSignal()
    """A kept result is the current one again."""
    compared = pyqtSignal(str, str)
    """Title of a kept result that was searched for again, and what changed."""
    failed = pyqtSignal(object)
    """An EngineError or a SearchError."""

    def __init__(self, layers: ResultLayers, engine: EngineClient, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layers = layers
        self.store = layers.store
        self.kept = KeptLayers(layers)
        self.engine = engine
        self.steps = QUndoStack(self)
        self.where: Callable[[], Json] = dict  # `indexes`, and perhaps `area`, of a search
        self.classification = Classification(engine, self)
        self._notes: dict[str, str] = {}
        self._build()
        self._connect()
        self.refresh()

    def refresh(self) -> None:
        """Show what is kept now, and what can be kept or undone."""
        self.list.show_results(self.store.kept, self.kept.shown(), self._notes)
        self.keep_button.setEnabled(self.store.current is not None)
        self.review_button.setEnabled(self.store.current is not None)
        useful = self.store.current is not None or bool(self.store.kept) or self.steps.canUndo()
        self.setVisible(useful)

    def forget(self) -> None:
        """Another project is open: nothing of before can be undone."""
        self.steps.clear()
        self._notes = {}
        self.refresh()

    def push(self, text: str, do: Act, take_back: Act, *, done: bool = False) -> None:
        """Do a step that can be undone; with `done` it has happened already."""
        self.steps.push(Step(text, self._guarded(do), self._guarded(take_back), done=done))

    # ---- what the buttons and the menu do ----

    def keep(self) -> None:
        """Pin the current result."""
        current = self.store.current
        if current is not None:
            text = tr("Keep {title}").format(title=current.title)
            self.push(text, self.kept.keep, lambda: self._release(current.table))

    def remove(self, table: str) -> None:
        """Remove a kept result, if the person agrees."""
        stored = self.store.result(table)
        if stored is None or not self._agrees(stored):
            return
        text = tr("Remove {title}").format(title=stored.title)
        self.push(text, lambda: self.layers.remove(stored.table), lambda: self.layers.restore(stored))

    def repeat(self, table: str) -> None:
        """Search again for a kept result and tell what changed."""
        stored = self.store.result(table)
        if stored is not None and not stored.result.get("phrases"):
            take = self._taking(stored)
            self.engine.request("search", {**stored.request, "heat": False}, take, self.failed.emit)

    def classify(self) -> None:
        """Ask for phrases and classify what is searched by them."""
        dialog = ClassifyDialog(self)
        if dialog.exec() and self.where().get("indexes"):
            self.classification.start(dialog.phrases, self.where())

    def _classified(self, request: Json, result: Json) -> None:
        """Keep the classified tiles on the map."""
        added: list[StoredResult] = []

        def add() -> None:
            added[:] = [self.kept.add(result, request)]

        def take_back() -> None:
            for stored in added:
                self.layers.remove(stored.table)

        self.push(tr("Classify by phrases"), add, take_back)
        self.compared.emit(tr("Classified:"), result["verdict"])

    def _take_edit(self, table: str, shown: bool, title: str) -> None:
        def change() -> None:
            self.kept.show(table, shown)
            self.kept.rename(table, title)

        self._guarded(change)()

    def _release(self, table: str) -> None:
        self.kept.release(table)
        self.released.emit()

    def _taking(self, stored: StoredResult) -> Callable[[Json], None]:
        """What is done with the newer answer."""

        def renew(answer: Json) -> None:
            new = self.kept.renew(stored.table, answer)
            if new is not None:
                self._compare(stored, new)

        return lambda answer: self._guarded(lambda: renew(answer))()

    def _compare(self, old: StoredResult, new: StoredResult) -> None:
        """Note what changed, and select what is new on the map."""
        change = compare(old, new)
        self._notes[new.table] = str(change)
        layer = matches_layer(new.table)
        ranks = ", ".join(str(match["rank"]) for match in change.new)
        if layer is not None and ranks:
            layer.selectByExpression(f'"rank" IN ({ranks})')
        text = tr("Search {title} again").format(title=new.title)
        self.push(text, lambda: None, lambda: self._back_to(old, new), done=True)
        self.compared.emit(new.title, str(change))

    def _back_to(self, old: StoredResult, new: StoredResult) -> None:
        self.layers.remove(new.table)
        self.layers.restore(old)

    def _agrees(self, stored: StoredResult) -> bool:
        question = tr("Remove the kept result “{title}” and its layer? Its verdicts stay.")
        text = question.format(title=stored.title)
        answer = QMessageBox.question(self, tr("Remove a kept result"), text)
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _guarded(self, act: Act) -> Act:
        """The act, followed by the list; what cannot be stored is reported."""

        def guarded() -> None:
            try:
                act()
            except SearchError as error:
                self.failed.emit(EngineError(type(error).__name__, error.message, error.hint))
            self.refresh()

        return guarded

    # ---- widgets ----

    def _build(self) -> None:
        tip = tr("Keep this result on the map and in the project when the next search comes")
        self.keep_button = named(push_button(self, tr("&Keep"), tip), tr("Keep this result"), tip)
        undo = self.steps.createUndoAction(self, tr("Undo"))
        undo.setIcon(QgsApplication.getThemeIcon("/mActionUndo.svg"))
        undo.setShortcut(QKeySequence(QKeySequence.StandardKey.Undo))
        undo.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self.undo_button = named(QToolButton(self), tr("Undo"))
        self.undo_button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.undo_button.setDefaultAction(undo)
        self.undo_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        tip = tr("Search for several phrases; each tile gets the one that claims it best")
        self.classify_button = push_button(self, tr("Classif&y ..."), tip)
        tip = tr("Go through the matches one by one, keep or discard, and estimate how many are right")
        self.review_button = named(push_button(self, tr("Re&view ..."), tip), tr("Review this result"), tip)
        self.review_button.clicked.connect(self.review_wanted)
        self.list = KeptList(self)
        buttons = row(self.keep_button, self.classify_button, self.review_button, self.undo_button, stretch=0)
        column(self, buttons, self.list)

    def _connect(self) -> None:
        self.keep_button.clicked.connect(self.keep)
        self.classify_button.clicked.connect(self.classify)
        self.classification.done.connect(self._classified)
        self.classification.failed.connect(self.failed)
        self.list.remove_wanted.connect(self.remove)
        self.list.repeat_wanted.connect(self.repeat)
        self.list.zoom_wanted.connect(self.kept.zoom_to)
        self.list.edited.connect(self._take_edit)
        self.list.release_wanted.connect(lambda table: self._guarded(lambda: self._release(table))())
        self.steps.indexChanged.connect(self.refresh)
