"""The matches in hand: what was found, in words, the filter, the gallery and what can be done with them."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSpinBox, QVBoxLayout, QWidget

from rs_text_search_plugin.assets import icon
from rs_text_search_plugin.contracts.scores import POSSIBLE
from rs_text_search_plugin.gui.wording import count

from .match_gallery import MatchGallery
from .score_slider import ScoreSlider

FETCHED = 1000  # matches asked of the engine; the filter works on these
SHOWN = 50  # matches shown until the person asks for more


class ResultsPanel(QWidget):
    """Filters by itself and tells what passes; searches nothing."""

    filtered = pyqtSignal(int, int)
    """Lowest score and last rank shown."""
    export_wanted = pyqtSignal()
    heat_wanted = pyqtSignal(bool)
    clear_wanted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.result: dict[str, Any] = {}
        self._nearest_of = ""  # the query whose nearest matches are shown although none is claimed
        self.verdict = QLabel(self)
        self.verdict.setWordWrap(True)
        self.verdict.setAccessibleName("What the search found")
        self.verdict.setToolTip(
            "What the search found: 80 is strong, 50 is possible, below nothing is claimed"
        )
        self.verdict.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByMouse | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
        self.verdict.linkActivated.connect(self._show_nearest)
        self.gallery = MatchGallery(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.verdict)
        column.addWidget(self._build_filter())
        column.addWidget(self.gallery, 1)
        column.addLayout(self._build_buttons())
        column.addStretch()
        self.show_result({}, {})

    def show_result(self, result: dict[str, Any], names: dict[str, str]) -> None:
        """Show a search's result, empty for none; `names` maps an index folder to its raster's name."""
        if self._nearest_of not in ("", result.get("query", "")):
            self._nearest_of = ""
            self.threshold.slider.setValue(POSSIBLE)
        self.result = result
        self.filter_box.setVisible(bool(result))
        for button in (self.export_button, self.clear_button, self.heat_button):
            button.setVisible(bool(result))
        self.threshold.show_counts(result.get("histogram", []))
        self.gallery.matches.set_matches(result.get("matches", []), names)
        self._filter()

    def shown_matches(self) -> list[dict[str, Any]]:
        """The matches that pass the filter."""
        low, top = self.threshold.slider.value(), self.top.value()
        return [m for m in self.result.get("matches", []) if m["score"] >= low and m["rank"] <= top]

    def say(self, text: str) -> None:
        """Say something where the verdict stands."""
        self.verdict.setText(text)

    def _filter(self) -> None:
        low, top = self.threshold.slider.value(), self.top.value()
        self.gallery.matches.filter(low, top)
        shown = len(self.shown_matches())
        self.caption.setText(f"S&core from {low}: {count(shown, 'match')}")
        self.export_button.setEnabled(shown > 0)
        self.gallery.setVisible(shown > 0)
        if self.result:
            nearest = (
                "" if shown or not self.result["matches"] else " <a href='#'>Show the nearest anyway</a>"
            )
            self.verdict.setText(f"{self.result['verdict']}{nearest}")
        self.filtered.emit(low, top)

    def _show_nearest(self) -> None:
        self._nearest_of = self.result["query"]
        self.threshold.slider.setValue(0)

    def _build_filter(self) -> QWidget:
        self.filter_box = QWidget(self)
        self.threshold = ScoreSlider(self.filter_box)
        self.threshold.slider.setValue(POSSIBLE)
        self.threshold.slider.valueChanged.connect(self._filter)
        self.caption = QLabel(self.filter_box)
        self.caption.setBuddy(self.threshold.slider)
        self.top = QSpinBox(self.filter_box)
        self.top.setRange(1, FETCHED)
        self.top.setValue(SHOWN)
        self.top.setPrefix("best ")
        self.top.setToolTip("Show at most this many matches, the best ones. Nothing is searched again.")
        self.top.setAccessibleName("Most matches shown")
        self.top.valueChanged.connect(self._filter)
        column = QVBoxLayout(self.filter_box)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.threshold)
        row = QHBoxLayout()
        row.addWidget(self.caption, 1)
        row.addWidget(self.top)
        column.addLayout(row)
        return self.filter_box

    def _build_buttons(self) -> QHBoxLayout:
        self.export_button = self._button(
            "&Export...", "export", "Save the matches shown as GeoPackage, shapefile, GeoJSON or FlatGeobuf"
        )
        self.export_button.clicked.connect(self.export_wanted)
        self.heat_button = self._button("&Heat", "heat", "Show all scores as a transparent layer")
        self.heat_button.setCheckable(True)
        self.heat_button.toggled.connect(self.heat_wanted)
        self.clear_button = self._button(
            "C&lear", "clear", "Remove the query and everything it put on the map"
        )
        self.clear_button.clicked.connect(self.clear_wanted)
        row = QHBoxLayout()
        for button in (self.export_button, self.heat_button, self.clear_button):
            row.addWidget(button)
        return row

    def _button(self, text: str, image: str, tip: str) -> QPushButton:
        button = QPushButton(icon(image), text, self)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        return button
