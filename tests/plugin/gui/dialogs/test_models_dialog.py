"""Several models in the panel: the list of them, getting weights, reranking, and indexes of another model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from qgis.core import Qgis, QgsSettings
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QFileDialog, QMessageBox

from tests.plugin.drawn import drawn

WAIT_MS = 8000
NAMES = ["compact", "mtgfe", "remote"]


@pytest.fixture(autouse=True)
def no_memory(qgis_app):
    """Every test meets a person who has not chosen anything yet."""
    for name in ("rerank", "model"):
        QgsSettings().remove(f"rs_text_search/{name}")


@pytest.fixture
def able(monkeypatch):
    """The reranker is installed."""
    monkeypatch.setenv("FAKE_ENGINE_INSTALLED", "mtgfe")


@pytest.fixture
def ready(panel, add_raster, qtbot):
    """A panel with one indexed raster and the list of models."""
    add_raster("scene", indexed=True)
    qtbot.waitUntil(lambda: panel.rasters.indexes() != [] and panel.models.models != [], timeout=WAIT_MS)
    return panel


@pytest.fixture
def answers(ready):
    """Every result that came, as [reranked, first tile]."""
    seen = []
    ready.live.found.connect(lambda result: seen.append([result["reranked"], result["matches"][0]["id"]]))
    return seen


def messages(iface, level=Qgis.MessageLevel.Warning):
    return " | ".join(iface.messageBar().get_messages(level))


def row(dialog, name):
    item = dialog.list.topLevelItem(NAMES.index(name))
    return [item.text(column) for column in range(dialog.list.columnCount())]


# ---- reranking ----


def test_a_reranked_answer_replaces_the_first(able, ready, answers, qtbot):
    said = []
    ready.live.status_changed.connect(said.append)
    ready.bar.rerank.click()
    qtbot.keyClicks(ready.bar.text, "tanks")
    qtbot.waitUntil(lambda: answers[-2:] == [[False, 0], [True, 63]], timeout=WAIT_MS)
    assert said[-1].endswith("Reranking the best ...")
    assert ready.results.verdict.text() == ready.results.result["verdict"]
    assert [match["id"] for match in ready.results.result["matches"][:2]] == [63, 62]
    assert drawn(ready.layers.matches) == 36  # tiles 49 to 14: from score 50 up, and of rank 50 or better


def test_the_switch_is_off_at_first_and_remembered(able, ready, qtbot):
    assert not ready.bar.rerank.isChecked()
    ready.bar.rerank.click()
    assert QgsSettings().value("rs_text_search/rerank", False, bool)
    ready.bar.rerank.setChecked(False)
    ready.models.refresh()  # as when the engine has started
    qtbot.waitUntil(ready.bar.rerank.isChecked, timeout=WAIT_MS)


def test_turning_it_on_and_off_searches_anew(able, ready, answers, qtbot):
    qtbot.keyClicks(ready.bar.text, "tanks")
    qtbot.waitUntil(lambda: len(answers) == 1, timeout=WAIT_MS)
    ready.bar.rerank.click()
    qtbot.waitUntil(lambda: len(answers) == 3, timeout=WAIT_MS)
    ready.bar.rerank.click()
    qtbot.waitUntil(lambda: len(answers) == 4, timeout=WAIT_MS)
    assert [reranked for reranked, _ in answers] == [False, False, True, False]


def test_whoever_types_on_does_not_wait_for_reranking(able, ready, answers, qtbot):
    ready.bar.rerank.click()
    qtbot.keyClicks(ready.bar.text, "ponder")
    qtbot.waitUntil(lambda: len(answers) == 1, timeout=WAIT_MS)
    ready.bar.text.clear()
    qtbot.keyClicks(ready.bar.text, "tanks")
    qtbot.waitUntil(lambda: ready.results.result["query"] == "tanks", timeout=2000)
    qtbot.waitUntil(lambda: ready.results.result["reranked"], timeout=WAIT_MS)
    assert [reranked for reranked, _ in answers] == [False, False, True]


def test_reranking_that_fails_leaves_the_first_answer(able, ready, answers, qtbot, qgis_iface):
    ready.bar.rerank.click()
    qtbot.keyClicks(ready.bar.text, "stumble")
    qtbot.waitUntil(lambda: "The reranker stumbled" in messages(qgis_iface), timeout=WAIT_MS)
    assert ready.results.result["query"] == "stumble"
    assert ready.results.verdict.text() == ready.results.result["verdict"]
    assert answers == [[False, 0]]


def test_examples_alone_are_not_reranked(able, ready, answers, qtbot):
    ready.bar.rerank.click()
    ready.description.example_added.emit({"index": ready.rasters.indexes()[0], "id": 7}, True)
    qtbot.waitUntil(lambda: len(answers) == 1, timeout=WAIT_MS)
    assert ready.live._request == 0


def test_without_a_reranker_the_switch_leads_to_the_list_of_models(ready, qtbot, monkeypatch):
    ready.bar.rerank.click()
    assert not ready.bar.rerank.isChecked()
    assert ready.models.isVisible()
    assert ready.models.model["name"] == "mtgfe"
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("/weights/mtgfe.safetensors", ""))
    ready.models.pick_button.click()
    qtbot.waitUntil(lambda: row(ready.models, "mtgfe")[1] == "installed", timeout=WAIT_MS)
    qtbot.waitUntil(ready.bar.rerank.isChecked, timeout=WAIT_MS)  # as the person had wanted


# ---- the list of models ----


def test_models_are_listed_with_size_speed_and_licence(ready):
    dialog = ready.models
    assert row(dialog, "compact") == ["Compact", "installed", "20 MB", "66", "GPL-2.0-or-later"]
    assert row(dialog, "mtgfe")[:3] == ["MTGFE-style", "not installed", "26 MB"]
    assert [
        ready.rasters.indexing.settings.model.itemText(i)
        for i in range(ready.rasters.indexing.settings.model.count())
    ] == ["Compact"]


def test_a_card_is_shown(ready, tmp_path):
    card = tmp_path / "compact.md"
    card.write_text("# The card\n\nWhat it **cannot** see.", encoding="utf-8")
    ready.models._show_list([{**ready.models.models[0], "card": str(card)}])
    ready.models._choose("compact")
    assert ready.models.card.toPlainText().splitlines()[0] == "The card"
    assert "What it cannot see." in ready.models.card.toPlainText()


def test_of_a_cards_links_only_web_addresses_are_opened(ready, monkeypatch):
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    for link in (
        "../../docs/decisions/0004-scores.md",
        "file:///etc/passwd",
        "https://arxiv.org/abs/2204.09868",
    ):
        ready.models.card.anchorClicked.emit(QUrl(link))
    assert [url.host() for url in opened] == ["arxiv.org"]
    assert not ready.models.card.openLinks()


def test_weights_without_an_address_can_only_be_picked(ready):
    ready.models.open_at("mtgfe")
    assert ready.models.pick_button.isVisible()
    assert not ready.models.fetch_button.isVisible()
    assert "no public address" in ready.models.status.text()
    ready.models.open_at("remote")
    assert ready.models.fetch_button.isVisible()
    ready.models.open_at("compact")
    assert not ready.models.pick_button.isVisible()
    assert "on this computer" in ready.models.status.text()


def test_a_wrong_file_is_refused_in_the_dialog(ready, qtbot):
    ready.models.open_at("mtgfe")
    ready.models.install("/tmp/wrong.safetensors")
    qtbot.waitUntil(lambda: "not the file we know" in ready.models.status.text(), timeout=WAIT_MS)
    assert row(ready.models, "mtgfe")[1] == "not installed"
    assert ready.models.pick_button.isEnabled()


@pytest.mark.parametrize("answer", ["Yes", "No"])
def test_nothing_is_fetched_without_consent(ready, qtbot, monkeypatch, answer):
    asked, operations = [], []
    request = ready.engine.request
    monkeypatch.setattr(
        ready.engine, "request", lambda op, *args: operations.append(op) or request(op, *args)
    )
    button = getattr(QMessageBox.StandardButton, answer)
    monkeypatch.setattr(QMessageBox, "question", lambda _parent, _title, text: asked.append(text) or button)
    ready.models.open_at("remote")
    ready.models.fetch_button.click()
    assert "30 MB" in asked[0]
    assert "weights.invalid" in asked[0]
    assert "GPL" in asked[0]
    if answer == "Yes":
        qtbot.waitUntil(lambda: ready.models.bar.value() == 15, timeout=WAIT_MS)
        qtbot.waitUntil(lambda: row(ready.models, "remote")[1] == "installed", timeout=WAIT_MS)
        qtbot.waitUntil(lambda: ready.rasters.indexing.settings.model.count() == 2, timeout=WAIT_MS)
    assert ("install" in operations) == (answer == "Yes")


def test_closing_stops_a_download(ready, qtbot):
    ready.models.open_at("remote")
    ready.models.install()
    qtbot.waitUntil(lambda: ready.models.bar.value() == 15, timeout=WAIT_MS)
    ready.models.close()
    qtbot.waitUntil(lambda: ready.models._request == 0, timeout=WAIT_MS)
    assert row(ready.models, "remote")[1] == "not installed"


# ---- indexes of another model ----


def index_with(layer, model):
    """Written aside and renamed, since the fake engine may be reading it."""
    meta = Path(f"{layer.source()}.rsidx") / "meta.json"
    aside = meta.with_name("aside")
    aside.write_text(json.dumps({"model": model}))
    aside.replace(meta)


def test_an_index_brings_its_own_model(able, panel, add_raster, qtbot):
    index_with(add_raster("scene", indexed=True), "mtgfe")
    QgsSettings().setValue("rs_text_search/model", "compact")  # chosen in an earlier session
    panel.rasters.refresh()
    qtbot.waitUntil(lambda: panel.rasters.indexes() != [], timeout=WAIT_MS)
    assert panel.rasters.list.rasters[0].state == "complete"
    panel.bar.text.setText("tanks")
    qtbot.waitUntil(lambda: panel.results.result.get("query") == "tanks", timeout=WAIT_MS)


def test_another_model_chosen_offers_to_replace_the_index(able, panel, add_raster, qtbot):
    index_with(add_raster("scene", indexed=True), "mtgfe")
    panel.rasters.refresh()
    qtbot.waitUntil(lambda: panel.rasters.indexes() != [], timeout=WAIT_MS)
    assert not panel.rasters.indexing.index_button.isEnabled()
    models = panel.rasters.indexing.settings.model
    models.setCurrentIndex(models.findData("mtgfe"))
    models.setCurrentIndex(models.findData("compact"))
    qtbot.waitUntil(panel.rasters.indexing.index_button.isEnabled, timeout=WAIT_MS)
    estimate = panel.rasters.indexing.estimate
    qtbot.waitUntil(lambda: "replaces the index made with mtgfe" in estimate.text(), timeout=WAIT_MS)
    assert panel.rasters.indexes() != []  # searched with mtgfe until then


def test_rasters_of_several_models_are_not_mixed(able, panel, add_raster, qtbot):
    for name, model in (("a", "compact"), ("b", "compact"), ("c", "mtgfe")):
        index_with(add_raster(name, indexed=True), model)
    panel.rasters.refresh()
    qtbot.waitUntil(lambda: len(panel.rasters.indexes()) == 2, timeout=WAIT_MS)
    panel.bar.text.setText("tanks")
    qtbot.waitUntil(lambda: panel.results.result.get("query") == "tanks", timeout=WAIT_MS)
    assert "c (mtgfe)" in panel.results.note.text()
