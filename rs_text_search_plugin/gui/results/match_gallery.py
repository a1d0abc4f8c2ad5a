"""Ranked thumbnails: a model over the matches in hand and a view that asks only for the pictures it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QAbstractListModel, QModelIndex, QPoint, QSize, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QPixmap, QResizeEvent
from qgis.PyQt.QtWidgets import QAbstractItemView, QListView, QMenu, QWidget

from rs_text_search_plugin.contracts.scores import STRONG

Match = dict[str, Any]
"""A match as the engine returns it."""
SIDE = 76  # px of a thumbnail on screen at least; they grow to fill the width
ASKED = 192  # px of a thumbnail asked of the engine, sharp on dense screens too
GAP = 8  # px between thumbnails
BATCH = 24  # thumbnails a request
KEPT = 600  # pictures kept in memory


class MatchModel(QAbstractListModel):
    """The matches that pass the filter, best first."""

    wanted = pyqtSignal()
    """A view asked for pictures that are not there yet; see `take_missing`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._matches: list[Match] = []
        self._shown: list[Match] = []
        self._names: dict[str, str] = {}
        self._pictures: dict[tuple[str, int], QIcon] = {}
        self._missing: dict[tuple[str, int], None] = {}  # wanted, not yet requested; the newest last
        self._requested: set[tuple[str, int]] = set()
        blank = QPixmap(ASKED, ASKED)
        blank.fill(QColor(128, 128, 128, 60))
        self._blank = QIcon(blank)

    def set_matches(self, matches: list[Match], names: dict[str, str]) -> None:
        """Take a result; `names` maps an index folder to what its raster is called."""
        self._matches, self._names = matches, names
        tiles = {(match["index"], match["id"]) for match in matches}
        self._missing = {tile: None for tile in self._missing if tile in tiles}  # nothing repaints what stays
        self._requested.clear()

    def filter(self, min_score: float, top: int) -> None:
        """Show matches from `min_score` on and of rank `top` or better."""
        shown = [m for m in self._matches if m["score"] >= min_score and m["rank"] <= top]
        if shown != self._shown:
            self.beginResetModel()
            self._shown = shown
            self.endResetModel()

    def match_at(self, index: QModelIndex) -> Match | None:
        """The match behind a row, None for an invalid one."""
        return self._shown[index.row()] if index.isValid() else None

    def picture(self, folder: str, tile: int) -> QIcon:
        """Picture of a tile, blank while it is on its way."""
        return self._pictures.get((folder, tile), self._blank)

    def take_missing(self) -> dict[str, list[int]]:
        """Up to BATCH tiles whose picture is wanted, by index folder; they count as requested from now on."""
        batch: dict[str, list[int]] = {}
        for folder, tile in list(self._missing)[-BATCH:]:  # the last asked for are those on screen
            del self._missing[folder, tile]
            self._requested.add((folder, tile))
            batch.setdefault(folder, []).append(tile)
        return batch

    def add_pictures(self, folder: str, tiles: list[int], paths: list[str]) -> None:
        """Keep the pictures that have come and repaint their rows."""
        for tile, path in zip(tiles, paths):
            pixmap = QPixmap(str(Path(path)))
            if not pixmap.isNull():
                smooth = Qt.TransformationMode.SmoothTransformation
                self._pictures[folder, tile] = QIcon(
                    pixmap.scaled(ASKED, ASKED, Qt.AspectRatioMode.KeepAspectRatio, smooth)
                )
        for key in list(self._pictures)[:-KEPT]:
            del self._pictures[key]
        if self._shown:
            roles = [Qt.ItemDataRole.DecorationRole]
            self.dataChanged.emit(self.index(0), self.index(len(self._shown) - 1), roles)

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        return 0 if parent is not None and parent.isValid() else len(self._shown)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        match = self.match_at(index)
        if match is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{match['rank']}  ·  {match['score']:.0f}"
        if role == Qt.ItemDataRole.DecorationRole:
            return self._decoration(match)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{self._spoken(match)}\nClick: show on the map. Right-click: more."
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._spoken(match)
        return None

    def _decoration(self, match: Match) -> QIcon:
        key = match["index"], match["id"]
        if key not in self._pictures and key not in self._requested:
            self._missing[key] = None
            self.wanted.emit()
        return self.picture(*key)

    def _spoken(self, match: Match) -> str:
        sure = ", strong" if match["score"] >= STRONG else ""
        name = self._names.get(match["index"], "")
        return f"Rank {match['rank']}, score {match['score']:.0f} of 100{sure}, tile {match['id']} of {name}"


class MatchGallery(QListView):
    """Thumbnails in rows, best first. Click or Enter shows a match on the map."""

    pictures_wanted = pyqtSignal(str, list)
    """Index folder and tile ids; answer with `matches.add_pictures`."""
    shown = pyqtSignal(dict)
    """A match to show on the map."""
    described = pyqtSignal(dict)
    example_added = pyqtSignal(dict, bool)
    """A match, and True for more like it, False for less."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.matches = MatchModel(self)
        self.setModel(self.matches)
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
        self.setAccessibleName("Matches, best first")
        self.setToolTip("Matches, best first: rank and score (0-100)")
        self._soon = QTimer(self)  # one request for a screenful instead of one a picture
        self._soon.setSingleShot(True)
        self._soon.setInterval(60)
        self._soon.timeout.connect(self._request)
        self.matches.wanted.connect(self._request_soon)
        self.clicked.connect(self._show)
        self.activated.connect(self._show)
        self.customContextMenuRequested.connect(self._open_menu)

    def _request_soon(self) -> None:
        if not self._soon.isActive():  # a list that keeps repainting must not put it off for ever
            self._soon.start()

    def _request(self) -> None:
        for folder, tiles in self.matches.take_missing().items():
            self.pictures_wanted.emit(folder, tiles)
            self._soon.start()  # until nothing is missing

    def _show(self, index: QModelIndex) -> None:
        match = self.matches.match_at(index)
        if match is not None:
            self.shown.emit(match)

    def _open_menu(self, position: QPoint) -> None:
        match = self.matches.match_at(self.indexAt(position))
        if match is not None:
            self.menu(match).exec(self.viewport().mapToGlobal(position))

    def menu(self, match: Match) -> QMenu:
        """What can be done with one match."""
        menu = QMenu(self)
        menu.addAction("Show on the map", lambda: self.shown.emit(match))
        menu.addAction("Describe this tile", lambda: self.described.emit(match))
        menu.addSeparator()
        menu.addAction("More like this", lambda: self.example_added.emit(match, True))
        menu.addAction("Less like this", lambda: self.example_added.emit(match, False))
        return menu

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Fill the width with as many columns as fit."""
        super().resizeEvent(event)
        width = self.viewport().width() - 2
        cell = width // max(1, width // (SIDE + GAP))
        self.setIconSize(QSize(cell - GAP, cell - GAP))
        self.setGridSize(QSize(cell, cell + self.fontMetrics().height()))
