"""The matches that pass the filter as a list model, and their thumbnails as far as they have come."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import QAbstractListModel, QModelIndex, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QImage, QPainter, QPixmap
from qgis.PyQt.QtWidgets import QWidget

from rs_text_search_plugin.contracts.scores import STRONG
from rs_text_search_plugin.translation import tr

Match = dict[str, Any]
"""A match as the engine returns it."""
Key = tuple[str, int]
"""Index folder and tile id."""
THUMBNAIL = 192
"""Side of a thumbnail asked of the engine, px; sharp on dense screens too."""
BATCH = 24
"""Thumbnails a request."""
GREYED_OPACITY = 0.55
KEPT = 600
"""Thumbnails kept in memory."""


class MatchModel(QAbstractListModel):
    """The matches that pass the filter, best first."""

    thumbnails_missing = pyqtSignal()
    """A view asked for thumbnails that are not there yet; see `take_missing`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._matches: list[Match] = []
        self._shown: list[Match] = []
        self._greyed = False
        self._names: dict[str, str] = {}
        self._stamps: dict[str, object] = {}
        self._thumbnails: dict[Key, QIcon] = {}
        self._missing: dict[Key, None] = {}  # wanted, not yet requested; the newest last
        self._requested: set[Key] = set()
        blank = QPixmap(THUMBNAIL, THUMBNAIL)
        blank.fill(QColor(128, 128, 128, 60))
        self._blank = QIcon(blank)

    def set_matches(
        self, matches: list[Match], names: dict[str, str], stamps: dict[str, object] | None = None
    ) -> None:
        """Take a result; `names` and `stamps` tell for each index folder its raster's name and when it was made."""
        self._matches, self._names = matches, names
        self._forget_outdated(stamps or {})
        tiles = {(match["index"], match["id"]) for match in matches}
        self._missing = {tile: None for tile in self._missing if tile in tiles}  # nothing repaints what stays
        self._requested.clear()

    def renew(self, names: dict[str, str]) -> None:
        """Ask again for thumbnails that have not come; see `set_matches` for `names`."""
        self._names = names
        self._requested.clear()
        self._repaint()

    def filter(self, min_score: float, top: int) -> None:
        """Show matches from `min_score` on and of rank `top` or better."""
        self._show([m for m in self._matches if m["score"] >= min_score and m["rank"] <= top], greyed=False)

    def show_nearest(self, number: int) -> None:
        """Show the best matches in grey: places near to the query that nothing is claimed of."""
        self._show(self._matches[:number], greyed=True)

    def match_at(self, index: QModelIndex) -> Match | None:
        """The match behind a row, None for an invalid one."""
        return self._shown[index.row()] if index.isValid() else None

    def take_missing(self) -> dict[str, list[int]]:
        """Up to BATCH tiles whose thumbnail is wanted, by index folder; they count as requested from now on."""
        batch: dict[str, list[int]] = {}
        for folder, tile in list(self._missing)[-BATCH:]:  # the last asked for are those on screen
            del self._missing[folder, tile]
            self._requested.add((folder, tile))
            batch.setdefault(folder, []).append(tile)
        return batch

    def add_thumbnails(self, folder: str, tiles: list[int], paths: list[str]) -> None:
        """Keep the thumbnails that have come and repaint their rows."""
        for tile, path in zip(tiles, paths):
            pixmap = QPixmap(path)
            if not pixmap.isNull():
                self._thumbnails[folder, tile] = QIcon(square(pixmap))
        for key in list(self._thumbnails)[:-KEPT]:
            del self._thumbnails[key]
        self._repaint()

    def _repaint(self) -> None:
        if self._shown:
            roles = [Qt.ItemDataRole.DecorationRole]
            self.dataChanged.emit(self.index(0), self.index(len(self._shown) - 1), roles)

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """How many matches are shown."""
        return 0 if parent is not None and parent.isValid() else len(self._shown)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Caption, thumbnail, tooltip and what a screen reader says of a row."""
        match = self.match_at(index)
        if match is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{match['rank']}  ·  {match['score']:.0f}"
        if role == Qt.ItemDataRole.DecorationRole:
            return self._decoration(match)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{self._spoken(match)}\n{tr('Click: show on the map. Right-click: more.')}"
        return self._spoken(match) if role == Qt.ItemDataRole.AccessibleTextRole else None

    def _show(self, matches: list[Match], greyed: bool) -> None:
        if (matches, greyed) != (self._shown, self._greyed):
            self.beginResetModel()
            self._shown, self._greyed = matches, greyed
            self.endResetModel()

    def _forget_outdated(self, stamps: dict[str, object]) -> None:
        """Drop thumbnails of indexes that have been made anew: their ids name other tiles now."""
        anew = {folder for folder, stamp in stamps.items() if self._stamps.get(folder, stamp) != stamp}
        self._thumbnails = {key: icon for key, icon in self._thumbnails.items() if key[0] not in anew}
        self._stamps.update(stamps)

    def _decoration(self, match: Match) -> QIcon:
        key = match["index"], match["id"]
        if key not in self._thumbnails and key not in self._requested:
            self._missing[key] = None
            self.thumbnails_missing.emit()
        icon = self._thumbnails.get(key, self._blank)
        return greyed(icon) if self._greyed else icon

    def _spoken(self, match: Match) -> str:
        name = self._names.get(match["index"], "")
        text = tr("Rank {}, score {} of 100, strong, tile {} of {}")
        if match["score"] < STRONG:
            text = tr("Rank {}, score {} of 100, tile {} of {}")
        return text.format(match["rank"], f"{match['score']:.0f}", match["id"], name)


def square(pixmap: QPixmap) -> QPixmap:
    """The pixmap as large as fits into a thumbnail."""
    smooth = Qt.TransformationMode.SmoothTransformation
    return pixmap.scaled(THUMBNAIL, THUMBNAIL, Qt.AspectRatioMode.KeepAspectRatio, smooth)


def greyed(icon: QIcon) -> QIcon:
    """The icon without colours, half transparent."""
    image = icon.pixmap(QSize(THUMBNAIL, THUMBNAIL)).toImage()
    grey = QPixmap(image.size())
    grey.fill(Qt.GlobalColor.transparent)
    painter = QPainter(grey)
    painter.setOpacity(GREYED_OPACITY)
    painter.drawImage(0, 0, image.convertToFormat(QImage.Format.Format_Grayscale8))
    painter.end()
    return QIcon(grey)
