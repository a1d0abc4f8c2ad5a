"""Settings of an index, what it will cost, and how far it is."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from rs_text_search_plugin.assets import icon
from rs_text_search_plugin.gui.wording import count, duration, size

PAUSE_MS = 400
PIXELS, METRES = "px", "m"
MODEL = "rs_text_search/model"


class IndexPanel(QWidget):
    """Index button, settings with an estimate, progress. Knows no rasters: it is told what is due."""

    index_wanted = pyqtSignal()
    cancel_wanted = pyqtSignal()
    settings_changed = pyqtSignal()
    """A new estimate is due."""
    models_wanted = pyqtSignal(str)
    """The person wants to see what models there are; carries the one chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.settings_changed)
        self.settings = self._build_settings()
        self.estimate = QLabel(self)
        self.estimate.setWordWrap(True)
        self.estimate.setAccessibleName("What the index will cost")
        self.stack = QStackedWidget(self)
        self.stack.addWidget(self._build_buttons())
        self.stack.addWidget(self._build_progress())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.stack)
        column.addWidget(self.settings)
        column.addWidget(self.estimate)
        self.settings.hide()

    def options(self) -> dict[str, Any]:
        """The settings as arguments of the engine's `plan` and `index`."""
        options: dict[str, Any] = {"overlap": self.overlap.value() / 100}
        if self.model.currentData():
            options["model"] = self.model.currentData()
        if self.tile.value() > 0:
            metres = self.unit.currentText() == METRES
            options["tile_m" if metres else "tile_px"] = (
                self.tile.value() if metres else int(self.tile.value())
            )
        return options

    def show_models(self, models: list[dict[str, Any]]) -> None:
        """Offer the installed encoders, the one chosen last first."""
        chosen = self.model.currentData() or QgsSettings().value(MODEL, "", str)
        self.model.blockSignals(True)
        self.model.clear()
        for model in models:
            if model["installed"] and model["dim"]:
                self.model.addItem(model["title"], model["name"])
                self.model.setItemData(self.model.count() - 1, model["summary"], Qt.ItemDataRole.ToolTipRole)
        self.model.setCurrentIndex(max(0, self.model.findData(chosen)))
        self.model.blockSignals(False)

    def show_due(self, due: int) -> None:
        """Tell how many rasters wait for an index."""
        self.index_button.setEnabled(due > 0)
        self.index_button.setText(f"&Index {count(due, 'raster')}" if due else "&Index")
        if due == 0:
            self.estimate.clear()
        self.estimate.setVisible(due > 0)

    def show_plans(self, plans: list[dict[str, Any]], notes: list[str]) -> None:
        """Tell what indexing would cost, summed over rasters; nothing where it cannot be told. `notes` follow."""
        if not plans:
            self.estimate.clear()
            return
        tiles, seconds, space = (sum(plan[key] for plan in plans) for key in ("tiles", "seconds", "bytes"))
        badges = sorted({badge for plan in plans for badge in plan["badges"]})
        parts = [
            f"{count(tiles, 'tile')} {self._side(plans)}",
            f"about {duration(seconds)}",
            f"{size(space)} on disk",
        ]
        self.estimate.setText(" · ".join(parts + badges + notes))

    def show_progress(self, name: str, progress: dict[str, Any]) -> None:
        """Show how far the raster called `name` is; an empty `progress` means it starts."""
        self.stack.setCurrentIndex(1)
        self.settings.setEnabled(False)
        self.estimate.setVisible(True)
        self.cancel_button.setEnabled(True)
        done, total = progress.get("done", 0), progress.get("total", 0)
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        if not total:
            self.estimate.setText(f"{name}: {progress.get('message') or 'starting'}")
            return
        left = f", {duration(progress['eta_s'])} left" if progress.get("eta_s") is not None else ""
        rate = f", {progress['rate']:,.0f} tiles/s" if progress.get("rate") else ""
        self.estimate.setText(f"{name}: {done:,} of {count(total, 'tile')}{rate}{left}")

    def end_progress(self) -> None:
        """Go back to the button."""
        self.stack.setCurrentIndex(0)
        self.settings.setEnabled(True)
        self.estimate.clear()

    def _side(self, plans: list[dict[str, Any]]) -> str:
        sides = {
            f"{plan['tile_px'][0]:,} px" + (f" ({plan['tile_m']:g} m)" if plan["tile_m"] else "")
            for plan in plans
        }
        return f"of {sides.pop()}" if len(sides) == 1 else "of several sizes"

    def _build_buttons(self) -> QWidget:
        page = QWidget(self)
        self.index_button = QPushButton(icon("index"), "&Index", page)
        self.index_button.setToolTip("Read the checked rasters once, so that they can be searched")
        self.index_button.setAccessibleName("Index the checked rasters")
        self.index_button.clicked.connect(self.index_wanted)
        self.settings_button = QToolButton(page)
        self.settings_button.setText("Se&ttings")
        self.settings_button.setToolTip("Model, tile size and overlap")
        self.settings_button.setAccessibleName("Index settings")
        self.settings_button.setCheckable(True)
        self.settings_button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.settings_button.toggled.connect(self.settings.setVisible)
        row = QHBoxLayout(page)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.index_button, 1)
        row.addWidget(self.settings_button)
        return page

    def _build_progress(self) -> QWidget:
        page = QWidget(self)
        self.bar = QProgressBar(page)
        self.bar.setAccessibleName("Progress of the index")
        self.bar.setToolTip("Progress of the index; what is done is kept when you cancel")
        self.cancel_button = QPushButton("&Cancel", page)
        self.cancel_button.setToolTip("Stop; what is done is kept and the next run goes on from there")
        self.cancel_button.setAccessibleName("Cancel indexing")
        self.cancel_button.clicked.connect(self._cancel)
        row = QHBoxLayout(page)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel_button)
        return page

    def _build_settings(self) -> QWidget:
        box = QWidget(self)
        self.model = QComboBox(box)
        self.tile = QDoubleSpinBox(box)
        self.unit = QComboBox(box)
        self.overlap = QSpinBox(box)
        self.model.currentIndexChanged.connect(self._pause.start)
        self.tile.setRange(0, 100000)
        self.tile.setDecimals(0)
        self.tile.setSingleStep(32)
        self.tile.setSpecialValueText("automatic")
        self.tile.valueChanged.connect(self._pause.start)
        self.unit.addItems([PIXELS, METRES])
        self.unit.currentIndexChanged.connect(self._pause.start)
        self.overlap.setRange(0, 90)
        self.overlap.setSingleStep(25)
        self.overlap.setSuffix(" %")
        self.overlap.valueChanged.connect(self._pause.start)
        tile = QHBoxLayout()
        tile.addWidget(self.tile, 1)
        tile.addWidget(self.unit)
        form = QFormLayout(box)
        form.setContentsMargins(0, 0, 0, 0)
        for label, name, tip, widget, place in (
            (
                "&Model",
                "Model",
                "What turns tiles and words into comparable numbers",
                self.model,
                self._build_model(box),
            ),
            (
                "Tile si&ze",
                "Tile size",
                "Side of a tile; a tile should be a few times larger than the things sought",
                self.tile,
                tile,
            ),
            (
                "&Overlap",
                "Overlap",
                "How much neighbouring tiles share; more finds things on borders and takes longer",
                self.overlap,
                self.overlap,
            ),
        ):
            caption = QLabel(label, box)
            caption.setBuddy(widget)
            widget.setToolTip(tip)
            widget.setAccessibleName(name)
            form.addRow(caption, place)
        self.unit.setToolTip("Unit of the tile size")
        self.unit.setAccessibleName("Unit of the tile size")
        return box

    def _build_model(self, box: QWidget) -> QHBoxLayout:
        self.model.activated.connect(lambda: QgsSettings().setValue(MODEL, self.model.currentData()))
        button = QToolButton(box)
        button.setText("...")
        button.setToolTip("All models: what they do, their size, speed and licence, and how to get them")
        button.setAccessibleName("All models")
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.clicked.connect(lambda: self.models_wanted.emit(self.model.currentData() or ""))
        row = QHBoxLayout()
        row.addWidget(self.model, 1)
        row.addWidget(button)
        return row

    def _cancel(self) -> None:
        self.cancel_button.setEnabled(False)
        self.cancel_wanted.emit()
