"""A bar as long as a score, in the score's colour on every theme."""

from __future__ import annotations

from qgis.PyQt.QtCore import QRectF
from qgis.PyQt.QtGui import QPainter, QPaintEvent, QPalette
from qgis.PyQt.QtWidgets import QWidget

from rs_text_search_plugin.map.styles import score_colour

HEIGHT = 8
"""px"""


class ScoreBar(QWidget):
    """Drawn by itself, because a theme's style sheet replaces the colours of a progress bar."""

    def __init__(self, score: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.score = score
        self.setFixedHeight(HEIGHT)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw a faint bar of 100 and the score's on top."""
        painter = QPainter(self)
        faint = self.palette().color(QPalette.ColorRole.WindowText)
        faint.setAlpha(40)
        painter.fillRect(self.rect(), faint)
        filled = QRectF(0, 0, self.width() * self.score / 100, self.height())
        painter.fillRect(filled, score_colour(self.score))
        painter.end()
