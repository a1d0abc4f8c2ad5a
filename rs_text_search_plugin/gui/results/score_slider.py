"""A slider for the lowest score shown, under a histogram of all tiles' scores."""

from __future__ import annotations

from math import log1p

from qgis.PyQt.QtCore import QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPaintEvent, QPalette
from qgis.PyQt.QtWidgets import QSlider, QVBoxLayout, QWidget

from rs_text_search_plugin.map.styles import score_colour

HEIGHT = 26  # px


class Histogram(QWidget):
    """Bars of how many tiles have which score, log scale; those from `threshold` on are coloured."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.counts: list[int] = []
        self.threshold = 0
        self.setFixedHeight(HEIGHT)
        self.setToolTip("How many tiles have which score, 0 (left) to 100; bars grow with the logarithm")
        self.setAccessibleName("Histogram of scores")

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(120, HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        if not any(self.counts):
            return
        painter = QPainter(self)
        width, tallest = self.width() / len(self.counts), log1p(max(self.counts))
        for place, count in enumerate(self.counts):
            score = 100 * place / len(self.counts)
            height = (self.height() - 1) * log1p(count) / tallest
            bar = QRectF(place * width + 0.5, self.height() - height, width - 1, height)
            painter.fillRect(bar, score_colour(score) if score >= self.threshold else self._faint())
        painter.end()

    def _faint(self) -> QColor:
        return self.palette().color(QPalette.ColorRole.Mid)


class ScoreSlider(QWidget):
    """`slider` holds the value, 0-100; `show_counts` draws the histogram above it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.histogram = Histogram(self)
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setRange(0, 100)
        self.slider.setPageStep(10)
        self.slider.setAccessibleName("Lowest score shown")
        self.slider.setToolTip(
            "Show matches from this score on: 80 is strong, 50 is possible. Nothing is searched again."
        )
        self.slider.valueChanged.connect(self._move)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.histogram)
        column.addWidget(self.slider)

    def show_counts(self, counts: list[int]) -> None:
        """Draw the histogram; counts are of equal classes from 0 to 100."""
        self.histogram.counts = counts
        self.histogram.update()

    def _move(self, value: int) -> None:
        self.histogram.threshold = value
        self.histogram.update()
