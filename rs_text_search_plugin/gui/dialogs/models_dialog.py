"""The models there are: what each can do and costs, its card, and how its weights get onto this computer."""

from __future__ import annotations

from html import escape
from pathlib import Path

from qgis.PyQt.QtCore import Qt, QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHeaderView,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QTextBrowser,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from rs_text_search_plugin.engine_process.client import EngineClient, EngineError, Json
from rs_text_search_plugin.gui.controls import fill, named, row, wrapped_label
from rs_text_search_plugin.gui.quantities import size
from rs_text_search_plugin.translation import tr

ROWS_MAX = 8
SIDE = (720, 600)
"""Size of the window, px."""
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class ModelsDialog(QDialog):
    """Lists what the engine knows; asks it to take a file or to fetch one."""

    known = pyqtSignal(list)
    """The models, as the engine describes them: what there is, or what is installed, has changed."""

    failed = pyqtSignal(object)
    """An EngineError that the dialog, not being open, cannot show."""

    def __init__(self, engine: EngineClient, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.engine = engine
        self.models: list[Json] = []
        self._request = 0  # id of the installation under way, 0 for none
        self.setWindowTitle(tr("Models"))
        self.resize(*SIDE)
        self._build_list()
        self._build_card()
        self.status = wrapped_label(self, tr("Weights of the model"))
        self.status.setText(tr("The search engine is not running yet."))
        buttons = row(*self._build_buttons(), self._build_bar())
        buttons.addStretch(1)
        buttons.addWidget(self._build_close())
        layout = QVBoxLayout(self)
        fill(layout, self.list, self.card, self.status, buttons)
        layout.setStretchFactor(self.card, 1)
        self.list.currentItemChanged.connect(lambda *_: self._show_model())

    def refresh(self) -> None:
        """Ask the engine what there is."""

        def take(answer: Json) -> None:
            self._request = 0
            self._show_list(answer["models"])
            self.known.emit(self.models)

        self.engine.request("models", {}, take, self._failed)

    def open_at(self, name: str = "") -> None:
        """Show the dialog with the model called `name`, or the one chosen last."""
        self._choose(name)
        self.show()
        self.raise_()

    def reranker(self) -> Json:
        """The model that can rerank, an installed one first; empty when there is none."""
        able = [model for model in self.models if model["reranker"]]
        return next((model for model in able if model["installed"]), able[0] if able else {})

    @property
    def model(self) -> Json:
        """The one chosen in the list; empty when there is none."""
        chosen = self.list.indexOfTopLevelItem(self.list.currentItem())
        return self.models[chosen] if chosen >= 0 else {}

    def done(self, result: int) -> None:
        """Close; an installation under way is stopped, a download goes on from there the next time."""
        self.engine.cancel(self._request)
        super().done(result)

    def install(self, file: str = "") -> None:
        """Have the engine take `file` for the weights of this model, or fetch them."""
        asked = {"model": self.model["name"], **({"file": file} if file else {})}
        self._show_work(tr("Checking the file ...") if file else tr("Downloading ..."))
        self._request = self.engine.request(
            "install", asked, lambda _: self.refresh(), self._failed, self._show_progress
        )

    def _pick(self) -> None:
        name = self.model["file"]
        title = tr("Weights of {}").format(self.model["title"])
        file, _ = QFileDialog.getOpenFileName(self, title, name, f"{name} (*)")
        if file:
            self.install(file)

    def _fetch(self) -> None:
        model = self.model
        question = tr("Download {} from {}?\n\nLicence: {}")
        text = question.format(size(model["bytes"]), model["url"], model["licence"])
        if QMessageBox.question(self, tr("Fetch a model"), text) == QMessageBox.StandardButton.Yes:
            self.install()

    def _failed(self, error: EngineError) -> None:
        self._request = 0
        self._show_model()
        if self.isVisible():
            self.status.setText(str(error))
        else:
            self.failed.emit(error)

    def _show_progress(self, progress: Json) -> None:
        self.bar.setRange(0, progress["total"])
        self.bar.setValue(progress["done"])

    def _show_work(self, text: str) -> None:
        self.status.setText(text)
        self.bar.setRange(0, 0)
        self._enable(False)

    def _enable(self, idle: bool) -> None:
        self.bar.setVisible(not idle)
        for widget in (self.list, self.pick_button, self.fetch_button):
            widget.setEnabled(idle)

    def _show_list(self, models: list[Json]) -> None:
        name = self.model.get("name", "")
        self.models = models
        self.list.blockSignals(True)
        self.list.clear()
        self.list.addTopLevelItems([list_item(model) for model in models])
        self.list.blockSignals(False)
        rows = min(len(models), ROWS_MAX) * self.list.sizeHintForRow(0)
        self.list.setFixedHeight(self.list.header().sizeHint().height() + rows + 2 * self.list.frameWidth())
        self._choose(name)

    def _choose(self, name: str) -> None:
        rows = [row for row, model in enumerate(self.models) if model["name"] == name]
        if rows or self.list.currentItem() is None:
            self.list.setCurrentItem(self.list.topLevelItem(rows[0] if rows else 0))

    def _show_model(self) -> None:
        self._enable(True)
        model = self.model
        if model:
            self.status.setText(weights_text(model))
            self.pick_button.setVisible(not model["installed"])
            self.fetch_button.setVisible(not model["installed"] and bool(model["url"]))
            self._show_card(model)

    def _show_card(self, model: Json) -> None:
        if model["card"]:
            self.card.setSearchPaths([str(Path(model["card"]).parent)])  # of its pictures
            show = getattr(self.card, "setMarkdown", self.card.setPlainText)  # since Qt 5.14
            show(Path(model["card"]).read_text(encoding="utf-8"))
        else:
            self.card.setHtml(f"<h2>{escape(model['title'])}</h2><p>{escape(model['summary'])}</p>")

    def _build_list(self) -> None:
        tip = tr("Models: they differ in what they find, in size and in speed")
        self.list = named(QTreeWidget(self), tr("Models"), tip)
        columns = [tr("Model"), tr("Weights"), tr("On disk"), tr("Tiles/s"), tr("Licence")]
        self.list.setHeaderLabels(columns)
        self.list.setRootIsDecorated(False)
        for column in range(len(columns) - 1):
            self.list.header().setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)

    def _build_card(self) -> None:
        tip = tr("Data, licences, figures and limits of the model")
        self.card = named(QTextBrowser(self), tr("Card of the model"), tip)
        self.card.setOpenLinks(False)  # a card also names files of the repository, which are not here
        self.card.anchorClicked.connect(open_address)

    def _build_bar(self) -> QProgressBar:
        self.bar = named(QProgressBar(self), tr("Progress of the installation"))
        self.bar.hide()
        return self.bar

    def _build_buttons(self) -> tuple[QPushButton, QPushButton]:
        tip = tr("Take the model's weights from a file on this computer")
        self.pick_button = named(QPushButton(tr("&Pick file ..."), self), tr("Pick the model's weights"), tip)
        self.pick_button.clicked.connect(self._pick)
        tip = tr("Download the model's weights; you are asked first")
        self.fetch_button = named(QPushButton(tr("&Fetch ..."), self), tr("Fetch the model's weights"), tip)
        self.fetch_button.clicked.connect(self._fetch)
        self.pick_button.hide()
        self.fetch_button.hide()
        return self.pick_button, self.fetch_button

    def _build_close(self) -> QDialogButtonBox:
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        close.rejected.connect(self.reject)
        return close


def list_item(model: Json) -> QTreeWidgetItem:
    """A model's line in the list."""
    speed = f"{model['tiles_per_s']:.0f}" if model["tiles_per_s"] else "-"
    here = tr("installed") if model["installed"] else tr("not installed")
    item = QTreeWidgetItem([model["title"], here, size(model["bytes"]), speed, model["licence"]])
    tips = (model["summary"], here, "", tr("As measured in its card"), model["licence"])
    for column, tip in enumerate(tips):
        item.setToolTip(column, tip)
    for column in (2, 3):
        item.setTextAlignment(column, RIGHT)  # type: ignore[arg-type]  # int in Qt 5, a flag in Qt 6
    return item


def open_address(address: QUrl) -> None:
    """Open a web address in the person's browser."""
    if address.scheme() in {"http", "https"}:
        QDesktopServices.openUrl(address)


def weights_text(model: Json) -> str:
    """What a model is for, and where its weights are or how to get them."""
    if model["installed"]:
        where = tr("Its weights are on this computer.")
    elif model["url"]:
        where = tr("Its weights do not come with the plugin: fetch them, or pick the file.")
    else:
        where = tr(
            "Its weights do not come with the plugin and have no public address yet: pick {}, which lies in "
            "models/weights of the project's repository. The file is checked and copied."
        ).format(model["file"])
    return f"{model['summary']} {where}"
