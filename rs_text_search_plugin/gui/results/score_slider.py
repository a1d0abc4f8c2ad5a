"""A slider for the lowest score shown, under a histogram of all tiles' scores."""

from __future__ import annotations

from math import log1p

from qgis.PyQt.QtCore import QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPaintEvent, QPalette
from qgis.PyQt.QtWidgets import QSlider, QWidget

from rs_text_search_plugin.gui.controls import column, named
from rs_text_search_plugin.map.styles import score_colour
from rs_text_search_plugin.translation import tr

HEIGHT = 26
"""px"""


class Histogram(QWidget):
    """Bars of how many tiles have which score, log scale; those from `threshold` on are coloured."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.counts: list[int] = []
        self.threshold = 0
        self.setFixedHeight(HEIGHT)
        tip = tr("How many tiles have which score, 0 (left) to 100; bars grow with the logarithm")
        named(self, tr("Histogram of scores"), tip)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """As wide as it gets, of a fixed height."""
        return QSize(120, HEIGHT)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw the bars."""
        if not any(self.counts):
            return
        painter = QPainter(self)
        for place, rectangle in enumerate(self._bars()):
            score = 100 * place / len(self.counts)
            painter.fillRect(rectangle, score_colour(score) if score >= self.threshold else self._faint())
        painter.end()

    def _bars(self) -> list[QRectF]:
        width, tallest = self.width() / len(self.counts), log1p(max(self.counts))
        heights = [(self.height() - 1) * log1p(count) / tallest for count in self.counts]
        return [
            QRectF(place * width + 0.5, self.height() - height, width - 1, height)
            for place, height in enumerate(heights)
        ]

    def _faint(self) -> QColor:
        return self.palette().color(QPalette.ColorRole.Mid)


class ScoreSlider(QWidget):
    """`slider` holds the value, 0-100; `show_counts` draws the histogram above it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.histogram = Histogram(self)
        tip = tr("Show matches from this score on: 80 is strong, 50 is possible. Nothing is searched again.")
        self.slider = named(QSlider(Qt.Orientation.Horizontal, self), tr("Lowest score shown"), tip)
        self.slider.setRange(0, 100)
        self.slider.setPageStep(10)
        self.slider.valueChanged.connect(self._move)
        column(self, self.histogram, self.slider).setSpacing(0)

    def show_counts(self, counts: list[int]) -> None:
        """Draw the histogram; counts are of equal classes from 0 to 100."""
        self.histogram.counts = counts
        self.histogram.update()

    def _move(self, value: int) -> None:
        self.histogram.threshold = value
        self.histogram.update()
