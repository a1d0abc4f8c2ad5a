"""Ranked thumbnails: a view that asks only for the thumbnails it shows."""

from __future__ import annotations

from qgis.PyQt.QtCore import QModelIndex, QPoint, QSize, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import QAbstractItemView, QListView, QMenu, QWidget

from rs_text_search_plugin.gui.controls import named
from rs_text_search_plugin.translation import tr

from .match_model import Match, MatchModel

SIDE = 76
"""px of a thumbnail on screen at least; they grow to fill the width."""
GAP = 8
"""px between thumbnails."""
REQUEST_MS = 60
ROWS_MIN = 1.5
"""Rows of thumbnails that are visible at least."""


class MatchGallery(QListView):
    """Thumbnails in rows, best first. Click or Enter shows a match on the map."""

    thumbnails_wanted = pyqtSignal(str, list)
    """Index folder and tile ids; answer with `matches.add_thumbnails`."""
    shown = pyqtSignal(dict)
    """A match to show on the map."""
    described = pyqtSignal(dict)
    example_added = pyqtSignal(dict, bool)
    """A match, and True for more like it, False for less."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.matches = MatchModel(self)
        self.setModel(self.matches)
        self._set_up()
        self._soon = QTimer(self)  # one request for a screenful instead of one a thumbnail
        self._soon.setSingleShot(True)
        self._soon.setInterval(REQUEST_MS)
        self._soon.timeout.connect(self._request)
        self.matches.thumbnails_missing.connect(self._request_soon)
        self.clicked.connect(self._show)
        self.activated.connect(self._show)
        self.customContextMenuRequested.connect(self._open_menu)

    def menu(self, match: Match) -> QMenu:
        """What can be done with one match."""
        menu = QMenu(self)
        menu.addAction(tr("Show on the map"), lambda: self.shown.emit(match))
        menu.addAction(tr("Describe this tile"), lambda: self.described.emit(match))
        menu.addSeparator()
        menu.addAction(tr("More like this"), lambda: self.example_added.emit(match, True))
        menu.addAction(tr("Less like this"), lambda: self.example_added.emit(match, False))
        return menu

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """Fill the width with as many columns as fit."""
        super().resizeEvent(event)  # type: ignore[arg-type]  # Qt never calls it without an event
        width = self.viewport().width() - 2
        cell = width // max(1, width // (SIDE + GAP))
        self.setIconSize(QSize(cell - GAP, cell - GAP))
        self.setGridSize(QSize(cell, cell + self.fontMetrics().height()))
        self.setMinimumHeight(int(ROWS_MIN * self.gridSize().height()))

    def _set_up(self) -> None:
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setUniformItemSizes(True)
        self.setIconSize(QSize(SIDE, SIDE))
        self.setSpacing(2)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        # a bar that came and went would change the width, and with it the columns, and so call for itself
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        named(self, tr("Matches, best first"), tr("Matches, best first: rank and score (0-100)"))

    def _request_soon(self) -> None:
        if not self._soon.isActive():  # a list that keeps repainting must not put it off for ever
            self._soon.start()

    def _request(self) -> None:
        for folder, tiles in self.matches.take_missing().items():
            self.thumbnails_wanted.emit(folder, tiles)
            self._soon.start()  # until nothing is missing

    def _show(self, index: QModelIndex) -> None:
        match = self.matches.match_at(index)
        if match is not None:
            self.shown.emit(match)

    def _open_menu(self, position: QPoint) -> None:
        match = self.matches.match_at(self.indexAt(position))
        if match is not None:
            self.menu(match).exec(self.viewport().mapToGlobal(position))
