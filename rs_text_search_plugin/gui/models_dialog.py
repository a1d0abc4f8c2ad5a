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
    QHBoxLayout,
    QHeaderView,
    QLabel,
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

from .wording import size

COLUMNS = ("Model", "Weights", "On disk", "Tiles/s", "Licence")
ROWS_MAX = 8
SIDE = (720, 600)  # px
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
        self.setWindowTitle("Models")
        self.resize(*SIDE)
        self._build()

    def refresh(self) -> None:
        """Ask the engine what there is."""

        def take(answer: Json) -> None:
            self._request = 0
            self._list(answer["models"])
            self.known.emit(self.models)

        self.engine.request("models", {}, take, self._failed)

    def open_at(self, name: str = "") -> None:
        """Show the dialog with the model called `name`, or the one looked at last."""
        self._choose(name)
        self.show()
        self.raise_()

    def reranker(self) -> Json:
        """The model that can rerank, an installed one first; empty when there is none."""
        able = [model for model in self.models if model["reranker"]]
        return next((model for model in able if model["installed"]), able[0] if able else {})

    @property
    def model(self) -> Json:
        """The one that is looked at; empty when there is none."""
        row = self.list.indexOfTopLevelItem(self.list.currentItem())
        return self.models[row] if row >= 0 else {}

    def done(self, result: int) -> None:
        """Close; an installation under way is stopped, a download goes on from there the next time."""
        self.engine.cancel(self._request)
        super().done(result)

    def install(self, file: str = "") -> None:
        """Have the engine take `file` for the weights of this model, or fetch them."""
        asked = {"model": self.model["name"], **({"file": file} if file else {})}
        self._show_work("Checking the file ..." if file else "Downloading ...")
        self._request = self.engine.request(
            "install", asked, lambda _: self.refresh(), self._failed, self._moves
        )

    def _pick(self) -> None:
        name = self.model["file"]
        file, _ = QFileDialog.getOpenFileName(self, f"Weights of {self.model['title']}", name, f"{name} (*)")
        if file:
            self.install(file)

    def _fetch(self) -> None:
        model = self.model
        question = f"Download {size(model['bytes'])} from {model['url']}?\n\nLicence: {model['licence']}"
        if QMessageBox.question(self, "Fetch a model", question) == QMessageBox.StandardButton.Yes:
            self.install()

    def _failed(self, error: EngineError) -> None:
        self._request = 0
        self._show_model()
        if self.isVisible():
            self.news.setText(str(error))
        else:
            self.failed.emit(error)

    def _moves(self, progress: Json) -> None:
        self.bar.setRange(0, progress["total"])
        self.bar.setValue(progress["done"])

    def _show_work(self, text: str) -> None:
        self.news.setText(text)
        self.bar.setRange(0, 0)
        self._enable(False)

    def _enable(self, idle: bool) -> None:
        self.bar.setVisible(not idle)
        for widget in (self.list, self.pick_button, self.fetch_button):
            widget.setEnabled(idle)

    def _list(self, models: list[Json]) -> None:
        name = self.model.get("name", "")
        self.models = models
        self.list.blockSignals(True)
        self.list.clear()
        self.list.addTopLevelItems([self._item(model) for model in models])
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
        if not model:
            return
        self.news.setText(weights_words(model))
        self.pick_button.setVisible(not model["installed"])
        self.fetch_button.setVisible(not model["installed"] and bool(model["url"]))
        if model["card"]:
            self.card.setSearchPaths([str(Path(model["card"]).parent)])  # of its pictures
            show = getattr(self.card, "setMarkdown", self.card.setPlainText)  # since Qt 5.14
            show(Path(model["card"]).read_text(encoding="utf-8"))
        else:
            self.card.setHtml(f"<h2>{escape(model['title'])}</h2><p>{escape(model['summary'])}</p>")

    @staticmethod
    def _item(model: Json) -> QTreeWidgetItem:
        speed = f"{model['tiles_per_s']:.0f}" if model["tiles_per_s"] else "-"
        here = "installed" if model["installed"] else "not installed"
        item = QTreeWidgetItem([model["title"], here, size(model["bytes"]), speed, model["licence"]])
        for column, tip in enumerate(
            (model["summary"], here, "", "As measured in its card", model["licence"])
        ):
            item.setToolTip(column, tip)
        for column in (2, 3):
            item.setTextAlignment(column, RIGHT)  # type: ignore[arg-type]  # int in Qt 5, a flag in Qt 6
        return item

    def _build(self) -> None:
        self.list = QTreeWidget(self)
        self.list.setHeaderLabels(COLUMNS)
        self.list.setRootIsDecorated(False)
        for column in range(len(COLUMNS) - 1):
            self.list.header().setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.list.setAccessibleName("Models")
        self.list.setToolTip("Models: each sees rasters in its own way")
        self.card = QTextBrowser(self)
        self.card.setOpenLinks(False)  # a card also names files of the repository, which are not here
        self.card.anchorClicked.connect(open_address)
        self.card.setAccessibleName("Card of the model")
        self.card.setToolTip("Data, licences, figures and limits of the model")
        layout = QVBoxLayout(self)
        layout.addWidget(self.list)
        layout.addWidget(self.card, 1)
        layout.addLayout(self._build_weights())
        self.list.currentItemChanged.connect(lambda *_: self._show_model())

    def _build_weights(self) -> QVBoxLayout:
        self.news = QLabel("The search engine is not running yet.", self)
        self.news.setWordWrap(True)
        self.news.setAccessibleName("Weights of the model")
        self.bar = QProgressBar(self)
        self.bar.setAccessibleName("Progress of the installation")
        self.bar.setToolTip("Progress of the installation")
        self.pick_button = QPushButton("&Pick file ...", self)
        self.pick_button.setToolTip("Take the model's weights from a file on this computer")
        self.pick_button.setAccessibleName("Pick the model's weights")
        self.pick_button.clicked.connect(self._pick)
        self.fetch_button = QPushButton("&Fetch ...", self)
        self.fetch_button.setToolTip("Download the model's weights; you are asked first")
        self.fetch_button.setAccessibleName("Fetch the model's weights")
        self.fetch_button.clicked.connect(self._fetch)
        for widget in (self.bar, self.pick_button, self.fetch_button):
            widget.hide()
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        close.rejected.connect(self.reject)
        row = QHBoxLayout()
        for widget in (self.pick_button, self.fetch_button, self.bar):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(close)
        column = QVBoxLayout()
        column.addWidget(self.news)
        column.addLayout(row)
        return column


def open_address(address: QUrl) -> None:
    """Open a web address in the person's browser."""
    if address.scheme() in {"http", "https"}:
        QDesktopServices.openUrl(address)


def weights_words(model: Json) -> str:
    """What a model is for, and where its weights are or how to get them."""
    if model["installed"]:
        where = "Its weights are on this computer."
    elif model["url"]:
        where = "Its weights do not come with the plugin: fetch them, or pick the file."
    else:
        where = (
            f"Its weights do not come with the plugin and have no public address yet: pick {model['file']}, which "
            "lies in models/weights of the project's repository. The file is checked and copied."
        )
    return f"{model['summary']} {where}"
