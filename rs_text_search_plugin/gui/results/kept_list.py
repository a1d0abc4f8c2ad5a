"""The list of kept results: shown or hidden by a check box, renamed in place, the rest in a menu."""

from __future__ import annotations

from functools import partial

from qgis.PyQt.QtCore import QPoint, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QPixmap
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QMenu, QTreeWidget, QTreeWidgetItem, QWidget

from rs_text_search_plugin.gui.controls import named
from rs_text_search_plugin.gui.quantities import matches
from rs_text_search_plugin.results_store.comparison import day
from rs_text_search_plugin.results_store.stored_result import StoredResult, shown_matches
from rs_text_search_plugin.translation import tr

ROWS_MAX = 4
SEARCHED = int(Qt.ItemDataRole.UserRole) + 1
"""Role: whether the result is of one search, not of a classification."""
SWATCH = 12
"""px"""


class KeptList(QTreeWidget):
    """Each signal carries the table of a kept result."""

    edited = pyqtSignal(str, bool, str)
    """Whether it is to be on the map, and its title; one of them has changed."""
    zoom_wanted = pyqtSignal(str)
    repeat_wanted = pyqtSignal(str)
    """Search for it again and compare."""
    release_wanted = pyqtSignal(str)
    """Go on with its query as the current one."""
    remove_wanted = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        named(self, tr("Kept results"), tr("Checked results are on the map. Right-click: more."))
        self.setHeaderHidden(True)
        self.setColumnCount(2)
        self.setRootIsDecorated(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.header().setStretchLastSection(False)
        self.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self._edit = ("", False, "")
        self._soon = QTimer(self)  # after Qt is done with the row, which may be made anew then
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._tell_edit)
        self.itemChanged.connect(self._take_change)
        self.itemDoubleClicked.connect(lambda item: self.zoom_wanted.emit(table_of(item)))
        self.customContextMenuRequested.connect(self._open_menu)

    def show_results(self, kept: list[StoredResult], shown: set[str], notes: dict[str, str]) -> None:
        """Show these results, checked when in `shown`; `notes` tells what changed in a table's result."""
        self.blockSignals(True)
        self.clear()
        for stored in kept:
            note = notes.get(stored.table) or matches(len(shown_matches(stored)))
            self.addTopLevelItem(self._item(stored, stored.table in shown, note))
        self.blockSignals(False)
        self.setVisible(bool(kept))
        rows = min(max(1, len(kept)), ROWS_MAX)
        self.setFixedHeight(rows * max(self.sizeHintForRow(0), SWATCH) + 2 * self.frameWidth())

    def menu(self, item: QTreeWidgetItem) -> QMenu:
        """What can be done with one result."""
        menu, table = QMenu(self), table_of(item)
        menu.addAction(tr("Zoom to its matches"), partial(self.zoom_wanted.emit, table))
        menu.addAction(tr("Rename"), partial(self.editItem, item, 0))
        if item.data(0, SEARCHED):
            menu.addAction(tr("Search again and compare"), partial(self.repeat_wanted.emit, table))
            menu.addAction(tr("Go on with this query"), partial(self.release_wanted.emit, table))
        menu.addSeparator()
        menu.addAction(tr("Remove ..."), partial(self.remove_wanted.emit, table))
        return menu

    def _item(self, stored: StoredResult, shown: bool, note: str) -> QTreeWidgetItem:
        item = QTreeWidgetItem([stored.title, note])
        item.setData(0, Qt.ItemDataRole.UserRole, stored.table)
        item.setData(0, SEARCHED, not stored.result.get("phrases"))
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(0, Qt.CheckState.Checked if shown else Qt.CheckState.Unchecked)
        if item.data(0, SEARCHED):
            item.setIcon(0, swatch(stored.hue))
        item.setToolTip(
            0, tr("{query}, searched {date}").format(query=stored.result["query"], date=day(stored.made))
        )
        item.setToolTip(1, note)
        return item

    def _take_change(self, item: QTreeWidgetItem, column: int) -> None:
        """A title was edited or a box checked; both come as this one signal."""
        if column == 0:
            self._edit = table_of(item), item.checkState(0) == Qt.CheckState.Checked, item.text(0)
            self._soon.start()

    def _tell_edit(self) -> None:
        self.edited.emit(*self._edit)

    def _open_menu(self, position: QPoint) -> None:
        item = self.itemAt(position)
        if item is not None:
            self.menu(item).exec(self.viewport().mapToGlobal(position))


def table_of(item: QTreeWidgetItem) -> str:
    """The table of the result that a row shows."""
    return str(item.data(0, Qt.ItemDataRole.UserRole))


def swatch(hue: str) -> QIcon:
    """A square of one colour."""
    square = QPixmap(SWATCH, SWATCH)
    square.fill(QColor(hue))
    return QIcon(square)
