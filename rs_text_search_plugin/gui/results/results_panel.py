"""The result on screen: what was found in words, the filter, the gallery and what can be done with it."""

from __future__ import annotations

from html import escape
from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QGridLayout, QLabel, QPushButton, QSpinBox, QWidget

from rs_text_search_plugin.assets import icon
from rs_text_search_plugin.contracts.scores import POSSIBLE
from rs_text_search_plugin.gui.controls import column, named, push_button, row, wrapped_label
from rs_text_search_plugin.gui.quantities import matches
from rs_text_search_plugin.translation import tr

from .match_gallery import MatchGallery
from .score_slider import ScoreSlider

Json = dict[str, Any]
FETCHED = 1000
"""Matches asked of the engine; the filter works on these."""
SHOWN = 50
"""Matches shown until the person asks for more."""
NEAREST = 6
"""Places shown in grey when nothing stands out."""
NEAREST_LINK, PHRASE_LINK = "nearest", "phrase:"


class ResultsPanel(QWidget):
    """Filters by itself and tells what passes; searches nothing."""

    filtered = pyqtSignal(int, int)
    """Lowest score and last rank shown."""
    suggestions_wanted = pyqtSignal()
    """Nothing stands out: phrases to search for instead are wanted; see `show_suggestions`."""
    phrase_chosen = pyqtSignal(str)
    """A suggested phrase to search for."""
    export_wanted = pyqtSignal()
    heat_wanted = pyqtSignal(bool)
    point_wanted = pyqtSignal(bool)
    """The person wants to see where inside their tiles the best matches lie, or no longer."""
    result_changed = pyqtSignal()
    clear_wanted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.result: Json = {}
        self._nearest_of = ""  # the query whose nearest matches are shown although none is claimed
        tip = tr("What the search found: 80 is strong, 50 is possible, below nothing is claimed")
        self.verdict = self._link_label(tr("What the search found"), tip)
        self.advice = self._link_label(tr("What else to search for"))
        self.gallery = MatchGallery(self)
        self.note = wrapped_label(self, tr("What was not searched"))
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        layout = column(self, self.verdict, self.note, self._build_filter(), self.advice)
        layout.addWidget(self.gallery, 1)
        layout.addLayout(self._build_buttons())
        layout.addStretch()
        self.show_result({}, {})

    def show_result(
        self, result: Json, names: dict[str, str], stamps: dict[str, object] | None = None
    ) -> None:
        """Show a search's result, empty for none; see `MatchModel.set_matches` for `names` and `stamps`."""
        if self._nearest_of not in ("", result.get("query", "")):
            self._nearest_of = ""
            self.threshold.slider.setValue(POSSIBLE)
        self.result = result
        self.result_changed.emit()
        self.show_note("")
        self.filter_box.setVisible(bool(result))
        for button in (self.export_button, self.clear_button, self.heat_button, self.point_button):
            button.setVisible(bool(result))
        self.threshold.show_counts(result.get("histogram", []))
        self.gallery.matches.set_matches(result.get("matches", []), names, stamps)
        self.show_suggestions([])
        self._filter()
        if self._nearest():
            self.suggestions_wanted.emit()

    def shown_matches(self) -> list[Json]:
        """The matches that pass the filter."""
        low, top = self.filter_values()
        return [m for m in self.result.get("matches", []) if m["score"] >= low and m["rank"] <= top]

    def filter_values(self) -> tuple[int, int]:
        """Lowest score and last rank shown."""
        return self.threshold.slider.value(), self.top.value()

    def show_filter(self, low: float, top: int) -> None:
        """Set what `filter_values` gives."""
        self.threshold.slider.setValue(round(low))
        self.top.setValue(top)

    def show_heat(self, shown: bool) -> None:
        """Set the switch of the heat, without searching."""
        self.heat_button.blockSignals(True)
        self.heat_button.setChecked(shown)
        self.heat_button.blockSignals(False)

    def show_pointing(self, shown: bool) -> None:
        """Set the switch of pointing, without asking for anything."""
        self.point_button.blockSignals(True)
        self.point_button.setChecked(shown)
        self.point_button.blockSignals(False)

    def show_message(self, text: str) -> None:
        """Show a sentence in place of what was found."""
        self.verdict.setText(escape(text))

    def show_suggestions(self, phrases: list[str]) -> None:
        """Offer phrases to search for instead."""
        self.advice.setText(advice(phrases))

    def show_note(self, text: str) -> None:
        """Show a remark on the result; an empty one hides it."""
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _filter(self) -> None:
        low, top = self.filter_values()
        shown = len(self.shown_matches())
        nearest = self._nearest() if not shown else []
        if nearest:
            self.gallery.matches.show_nearest(len(nearest))
        else:
            self.gallery.matches.filter(low, top)
        self.caption.setText(tr("S&core from {}: {}").format(low, matches(shown)))
        self.export_button.setEnabled(shown > 0)
        self.gallery.setVisible(bool(shown or nearest))
        self._show_verdict(shown, len(nearest))
        self.filtered.emit(low, top)

    def _nearest(self) -> list[Json]:
        """The nearest places when nothing is claimed of any."""
        found: list[Json] = self.result.get("matches", [])
        return [] if any(match["score"] >= POSSIBLE for match in found) else found[:NEAREST]

    def _show_verdict(self, shown: int, nearest: int) -> None:
        if self.result:
            more = ""
            if nearest:
                more = f" <a href='{NEAREST_LINK}'>{tr('Show the nearest on the map')}</a>"
            elif not shown and self.result["matches"]:
                more = f" <a href='{NEAREST_LINK}'>{tr('Show those with lower scores')}</a>"
            self.verdict.setText(escape(self.result["verdict"]) + more)
        self.advice.setVisible(nearest > 0)

    def _follow(self, link: str) -> None:
        if link == NEAREST_LINK:
            self._nearest_of = self.result["query"]
            self.threshold.slider.setValue(0)
        else:
            self.phrase_chosen.emit(link[len(PHRASE_LINK) :])

    def _link_label(self, name: str, tip: str = "") -> QLabel:
        label = wrapped_label(self, name, tip)
        label.setTextFormat(Qt.TextFormat.RichText)
        label.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByMouse | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
        label.linkActivated.connect(self._follow)
        return label

    def _build_filter(self) -> QWidget:
        self.filter_box = QWidget(self)
        self.threshold = ScoreSlider(self.filter_box)
        self.threshold.slider.setValue(POSSIBLE)
        self.threshold.slider.valueChanged.connect(self._filter)
        self.caption = QLabel(self.filter_box)
        self.caption.setBuddy(self.threshold.slider)
        tip = tr("Show at most this many matches, the best ones. Nothing is searched again.")
        self.top = named(QSpinBox(self.filter_box), tr("Most matches shown"), tip)
        self.top.setRange(1, FETCHED)
        self.top.setValue(SHOWN)
        self.top.setPrefix(tr("best "))
        self.top.valueChanged.connect(self._filter)
        column(self.filter_box, self.threshold, row(self.caption, self.top, stretch=0))
        return self.filter_box

    def _build_buttons(self) -> QGridLayout:
        tip = tr("Save the matches shown as GeoPackage, shapefile, GeoJSON or FlatGeobuf")
        self.export_button = self._button(tr("&Export..."), "export", tip)
        self.export_button.clicked.connect(self.export_wanted)
        self.heat_button = self._button(tr("&Heat"), "heat", tr("Show all scores as a transparent layer"))
        self.heat_button.setCheckable(True)
        self.heat_button.toggled.connect(self.heat_wanted)
        tip = tr("Read the best places again and show where inside their tiles the thing is")
        self.point_button = self._button(tr("&Point at it"), "point", tip)
        self.point_button.setCheckable(True)
        self.point_button.toggled.connect(self.point_wanted)
        tip = tr("Remove the query and everything it put on the map")
        self.clear_button = self._button(tr("C&lear"), "clear", tip)
        self.clear_button.clicked.connect(self.clear_wanted)
        buttons = QGridLayout()  # two rows: one of four would be wider than the dock
        for place, button in enumerate(
            (self.export_button, self.heat_button, self.point_button, self.clear_button)
        ):
            buttons.addWidget(button, place // 2, place % 2)
        return buttons

    def _button(self, text: str, image: str, tip: str) -> QPushButton:
        return push_button(self, text, tip, icon(image))


def advice(phrases: list[str]) -> str:
    """What to try when nothing stands out, as rich text: phrases that do stand out here, other words, other tiles."""
    lines = [tr("The nearest places are shown in grey: nothing is claimed of them.")]
    if phrases:
        links = [f"<a href='{PHRASE_LINK}{escape(phrase)}'>{escape(phrase)}</a>" for phrase in phrases]
        lines.append(tr("What does stand out here: {}.").format(", ".join(links)))
    lines.append(tr("Try a more general word, a larger thing, or an index with smaller tiles."))
    return "<br>".join(lines)
