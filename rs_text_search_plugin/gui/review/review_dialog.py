"""The window of a review: a large picture, three keys, and what the verdicts tell about the result."""

from __future__ import annotations

from functools import partial
from typing import Callable

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeySequence, QPixmap
from qgis.PyQt.QtWidgets import (
    QAbstractButton,
    QAction,
    QComboBox,
    QDialog,
    QHBoxLayout,
    QLabel,
    QLayout,
    QVBoxLayout,
    QWidget,
)

from rs_text_search_plugin.contracts.errors import SearchError
from rs_text_search_plugin.engine_process.client import EngineClient, Json
from rs_text_search_plugin.gui.controls import fill, named, push_button, row, wrapped_label
from rs_text_search_plugin.results_store.verdicts import Judgement
from rs_text_search_plugin.translation import tr

from .order import Order
from .precision import Estimate
from .review import Review, key

PICTURE = 480
"""Side of the picture, px."""
ESTIMATE_LINES = 2


class ReviewDialog(QDialog):
    """Shows one match after another and stores what the person decides."""

    examples_wanted = pyqtSignal(list, list)
    """Matches kept and discarded, to search with."""
    failed = pyqtSignal(object)
    """A SearchError or an EngineError."""

    def __init__(self, review: Review, engine: EngineClient, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.review = review
        self.engine = engine
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Review: {}").format(review.query))
        self._pictures: dict[tuple[str, int], QPixmap] = {}
        self._requested: set[tuple[str, int]] = set()
        self._build()
        self._show()

    def judge(self, judgement: Judgement) -> None:
        """Store a verdict and go on."""
        try:
            self.review.judge(judgement)
        except SearchError as error:
            self.failed.emit(error)
        self._show()

    def step(self, number: int) -> None:
        """Go on or back without a verdict."""
        self.review.step(number)
        self._show()

    def _set_order(self) -> None:
        self.review.set_order(self.order.currentData())
        self._show()

    def _show(self) -> None:
        match = self.review.match
        self.caption.setText(caption(self.review))
        self.estimate.setText(estimate_text(self.review.estimate(), self.review.threshold))
        for judgement, button in self.buttons.items():
            button.setChecked(self.review.judgement == judgement)
            button.setEnabled(match is not None)
        self.search_button.setEnabled(bool(self.review.judged(Judgement.KEEP)))
        for wanted in (match, self.review.following()):
            self._request(wanted)
        self._show_picture()

    def _show_picture(self) -> None:
        match = self.review.match
        picture = self._pictures.get(key(match)) if match else None
        self.picture.setPixmap(picture or QPixmap())
        if picture is None:
            self.picture.setText(tr("Loading ...") if match else tr("There is no match to review."))

    def _request(self, match: Json | None) -> None:
        if match is None or key(match) in self._requested:
            return
        self._requested.add(key(match))
        request = {"index": match["index"], "ids": [match["id"]], "size": PICTURE}
        self.engine.request("thumbnails", request, partial(self._take, key(match)), self.failed.emit)

    def _take(self, tile: tuple[str, int], answer: Json) -> None:
        self._pictures[tile] = QPixmap(answer["paths"][0])
        self._show_picture()

    def _search_with_verdicts(self) -> None:
        kept, discarded = self.review.judged(Judgement.KEEP), self.review.judged(Judgement.DISCARD)
        self.examples_wanted.emit(kept, discarded)
        self.close()

    # ---- widgets ----

    def _build(self) -> None:
        self.picture = named(QLabel(self), tr("Picture of the match"))
        self.picture.setFixedSize(PICTURE, PICTURE)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.caption = named(QLabel(self), tr("The match under review"))
        tip = tr("Share of the matches from the threshold on that are right, with its 95 % interval")
        self.estimate = wrapped_label(self, tr("Estimated precision"), tip)
        tip = tr("Search for what was kept and against what was discarded")
        self.search_button = push_button(self, tr("Search with the verdicts"), tip)
        self.search_button.clicked.connect(self._search_with_verdicts)
        self.estimate.setMinimumHeight(ESTIMATE_LINES * self.fontMetrics().lineSpacing())
        layout = QVBoxLayout(self)
        layout.setSizeConstraint(QLayout.SizeConstraint.SetMinimumSize)
        fill(layout, self._build_order(), self.picture, self.caption, self._build_buttons())
        fill(layout, self.estimate, self.search_button)

    def _build_order(self) -> QComboBox:
        self.order = named(QComboBox(self), tr("Order of the review"))
        self.order.addItem(tr("A sample of every score"), Order.SAMPLE)
        self.order.addItem(tr("Best first"), Order.BEST)
        self.order.addItem(tr("Least sure first"), Order.UNSURE)
        self.order.currentIndexChanged.connect(self._set_order)
        return self.order

    def _build_buttons(self) -> QHBoxLayout:
        texts = {
            Judgement.KEEP: (tr("Keep (K)"), tr("It shows what was asked"), "K"),
            Judgement.DISCARD: (tr("Discard (D)"), tr("It does not show what was asked"), "D"),
            Judgement.SKIP: (tr("Skip (S)"), tr("No verdict on this one"), "S"),
        }
        self.buttons: dict[Judgement, QAbstractButton] = {}
        for judgement, (text, tip, letter) in texts.items():
            self.buttons[judgement] = self._button(text, tip, letter, partial(self.judge, judgement))
            self.buttons[judgement].setCheckable(True)
        back = self._button("←", tr("The match before"), "Left", partial(self.step, -1))
        on = self._button("→", tr("The next match, without a verdict"), "Right", partial(self.step, 1))
        return row(back, *self.buttons.values(), on)

    def _button(self, text: str, tip: str, letter: str, act: Callable[[], None]) -> QAbstractButton:
        """A button and a key for the same; a button's own shortcut would swallow keys that follow fast."""
        button = push_button(self, text, tip)
        button.setAutoDefault(False)
        button.clicked.connect(lambda _checked: act())
        action = QAction(text, self)
        action.setShortcut(QKeySequence(letter))
        action.triggered.connect(lambda _checked: act())
        self.addAction(action)
        return button


def caption(review: Review) -> str:
    """Where the review stands, and what is known of the match."""
    match = review.match
    if match is None:
        return ""
    text = tr("{} of {} · rank {} · score {} · tile {}")
    place = review.position + 1, len(review.matches)
    return text.format(*place, match["rank"], f"{match['score']:.0f}", match["id"])


def estimate_text(found: Estimate, threshold: float) -> str:
    """Precision at the threshold in a sentence, or what is still missing for it."""
    if found.precision is None:
        text = tr("{} of {} matches from score {:.0f} on are judged; each score band needs a verdict.")
        return text.format(found.judged, found.matches, threshold)
    text = tr(
        "Precision from score {:.0f} on: {:.0f} % ({:.0f} to {:.0f} %), from {} verdicts on {} matches."
    )
    shares = (100 * share for share in (found.precision.value, found.precision.low, found.precision.high))
    return text.format(threshold, *shares, found.judged, found.matches)
