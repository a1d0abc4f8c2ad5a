"""The review window: keys, verdicts in the store, the estimate, and searching with what was found."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtGui import QKeySequence

from rs_text_search_plugin.gui.review.order import Order
from rs_text_search_plugin.results_store.verdicts import Judgement

WAIT_MS = 8000


@pytest.fixture
def dialog(panel, add_raster, qtbot):
    add_raster("scene", indexed=True)
    qtbot.waitUntil(lambda: panel.rasters.indexes() != [], timeout=WAIT_MS)
    panel.bar.search_for("tanks")
    qtbot.waitUntil(lambda: panel.results.result.get("query") == "tanks", timeout=WAIT_MS)
    panel.kept.review_button.click()
    dialog = next(child for child in panel.children() if type(child).__name__ == "ReviewDialog")
    dialog.order.setCurrentIndex(dialog.order.findData(Order.BEST))
    yield dialog
    dialog.close()


def tile(dialog):
    return dialog.review.match["id"]


def test_keys_judge_and_go_on(dialog, panel):
    assert tile(dialog) == 0
    for letter in "KDS":
        next(action for action in dialog.actions() if action.shortcut() == QKeySequence(letter)).trigger()
    assert tile(dialog) == 3
    stored = {place[1]: verdict.verdict for place, verdict in panel.layers.store.verdicts("tanks").items()}
    assert stored == {0: Judgement.KEEP, 1: Judgement.DISCARD, 2: Judgement.SKIP}


def test_buttons_and_arrows_do_the_same(dialog):
    dialog.buttons[Judgement.KEEP].click()
    for letter in ("Right", "Right", "Left"):
        next(action for action in dialog.actions() if action.shortcut() == QKeySequence(letter)).trigger()
    assert tile(dialog) == 2
    assert dialog.review.judged(Judgement.KEEP) == [dialog.review.matches[0]]


def test_going_back_shows_the_verdict(dialog):
    dialog.judge(Judgement.DISCARD)
    dialog.step(-1)
    assert dialog.buttons[Judgement.DISCARD].isChecked()
    dialog.judge(Judgement.KEEP)
    assert dialog.review.judged(Judgement.DISCARD) == []


def test_the_picture_comes(dialog, qtbot):
    qtbot.waitUntil(lambda: bool(dialog.picture.pixmap()), timeout=WAIT_MS)
    assert dialog.picture.pixmap().width() == 480


def test_verdicts_in_every_band_give_a_precision(dialog):
    assert "each score band needs a verdict" in dialog.estimate.text()
    dialog.order.setCurrentIndex(dialog.order.findData(Order.SAMPLE))
    for _ in range(8):
        dialog.judge(Judgement.KEEP)
    assert "Precision from score 50 on: 100 %" in dialog.estimate.text()
    assert "from 8 verdicts on 50 matches" in dialog.estimate.text()


def test_a_review_goes_on_where_it_stopped(dialog, panel):
    dialog.judge(Judgement.KEEP)
    dialog.judge(Judgement.KEEP)
    again = panel.review()
    again.order.setCurrentIndex(again.order.findData(Order.BEST))
    assert tile(again) == 2
    again.close()


def test_verdicts_become_examples(dialog, panel):
    dialog.judge(Judgement.KEEP)
    dialog.judge(Judgement.DISCARD)
    dialog.search_button.click()
    assert [(example.id, example.wanted) for example in panel.bar.examples] == [(0, True), (1, False)]


def test_every_control_has_a_name_and_a_tooltip(dialog):
    controls = [*dialog.buttons.values(), dialog.order, dialog.search_button]
    assert [
        control.text() for control in controls if not (control.accessibleName() and control.toolTip())
    ] == []
