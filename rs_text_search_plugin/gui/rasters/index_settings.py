"""How a raster is indexed: model, tile size, levels, overlap."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QBoxLayout, QComboBox, QDoubleSpinBox, QFormLayout, QLabel, QSpinBox, QWidget

from rs_text_search_plugin.gui.controls import named, row, tool_button
from rs_text_search_plugin.translation import tr

Json = dict[str, Any]
PAUSE_MS = 400
"""Settings rest this long before an estimate is asked for."""
MODEL = "rs_text_search/model"
MAX_TILE = 100_000
SCALES_CHARACTERS = 12
"""The list of scales is no wider; its entries are shown in full when it is open."""
TILE_STEP = 32
MAX_OVERLAP, OVERLAP_STEP = 90, 25
"""Percent of a tile's side."""
MOST_LEVELS = 4


class IndexSettings(QWidget):
    """A form; `options` are the arguments of the engine's `plan` and `index`."""

    changed = pyqtSignal()
    """The person changed something and has paused since."""
    models_wanted = pyqtSignal(str)
    """The person wants the list of all models; carries the one chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.models: dict[str, Json] = {}
        self.edited: set[str] = set()
        """Which of model, tile, levels and overlap the person has changed since the dock was made."""
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.changed)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        self._add_model(form)
        self._add_tile(form)
        self._add_levels(form)
        self._add_overlap(form)

    def options(self) -> Json:
        """The settings as arguments of `plan` and `index`."""
        options: Json = {"overlap": self.overlap.value() / 100, "levels": self.levels.currentData()}
        if self.model.currentData():
            options["model"] = self.model.currentData()
        if self.tile.value() > 0:
            metres = self.unit.currentData() == "tile_m"
            options[self.unit.currentData()] = self.tile.value() if metres else int(self.tile.value())
        return options

    def show_models(self, models: list[Json]) -> None:
        """Offer the installed encoders, the one chosen last first."""
        chosen = self.model.currentData() or QgsSettings().value(MODEL, "", str)
        self.models = {model["name"]: model for model in models}
        self.model.blockSignals(True)
        self.model.clear()
        for model in models:
            if model["installed"] and model["dim"]:
                self.model.addItem(model["title"], model["name"])
                self.model.setItemData(self.model.count() - 1, model["summary"], Qt.ItemDataRole.ToolTipRole)
        self.model.setCurrentIndex(max(0, self.model.findData(chosen)))
        self.model.blockSignals(False)

    def differ_from(self, info: Json) -> bool:
        """Whether what the person changed is not how this index was made."""
        options = self.options()
        differences = {
            "model": options.get("model") != info["model"],
            "overlap": abs(options["overlap"] - info["overlap"]) > 0.005,
            "tile": self._tile_differs(options, info),
            "levels": options["levels"] not in (None, info.get("levels", 1)),
        }
        return any(differences[name] for name in self.edited)

    def _tile_differs(self, options: Json, info: Json) -> bool:
        if not info.get("tile_px"):
            return False
        side, gsd = info["tile_px"][0], info.get("gsd_m")
        if "tile_m" in options:
            return bool(gsd) and abs(options["tile_m"] / gsd - side) > 1
        automatic = self.models.get(options.get("model", ""), {}).get("size_px", side)
        return bool(options.get("tile_px", automatic) != side)

    def _edit(self, setting: str) -> None:
        self.edited.add(setting)
        self._pause.start()

    def _add_model(self, form: QFormLayout) -> None:
        self.model = named(
            QComboBox(self), tr("Model"), tr("What turns tiles and words into comparable embeddings")
        )
        self.model.currentIndexChanged.connect(lambda: self._edit("model"))
        self.model.activated.connect(lambda: QgsSettings().setValue(MODEL, self.model.currentData()))
        tip = tr("All models: what they do, their size, speed and licence, and how to get them")
        button = tool_button(self, "...", tr("All models"), tip)
        button.clicked.connect(lambda: self.models_wanted.emit(self.model.currentData() or ""))
        self._add(form, tr("&Model"), self.model, row(self.model, button, stretch=0))

    def _add_tile(self, form: QFormLayout) -> None:
        tip = tr("Side of a tile; a tile should be a few times larger than the objects searched for")
        self.tile = named(QDoubleSpinBox(self), tr("Tile size"), tip)
        self.tile.setRange(0, MAX_TILE)
        self.tile.setDecimals(0)
        self.tile.setSingleStep(TILE_STEP)
        self.tile.setSpecialValueText(tr("automatic"))
        self.tile.valueChanged.connect(lambda: self._edit("tile"))
        self.unit = named(QComboBox(self), tr("Unit of the tile size"))
        self.unit.addItem(tr("px"), "tile_px")
        self.unit.addItem(tr("m"), "tile_m")
        self.unit.currentIndexChanged.connect(lambda: self._edit("tile"))
        self._add(form, tr("Tile si&ze"), self.tile, row(self.tile, self.unit, stretch=0))

    def _add_levels(self, form: QFormLayout) -> None:
        tip = tr(
            "Tiles of twice, four times ... the side as well find things of every size; they take a third longer"
        )
        self.levels = named(QComboBox(self), tr("Scales"), tip)
        self.levels.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.levels.setMinimumContentsLength(SCALES_CHARACTERS)
        self.levels.addItem(tr("automatic: from small things to whole sites"), None)
        self.levels.addItem(tr("one"), 1)
        for count in range(2, MOST_LEVELS + 1):
            times = ", ".join(str(2**level) for level in range(1, count))
            self.levels.addItem(tr("{} (and {} times as large)").format(count, times), count)
        self.levels.currentIndexChanged.connect(lambda: self._edit("levels"))
        self._add(form, tr("Sca&les"), self.levels, row(self.levels))

    def _add_overlap(self, form: QFormLayout) -> None:
        tip = tr("What neighbouring tiles share; more finds objects on borders and takes longer")
        self.overlap = named(QSpinBox(self), tr("Overlap"), tip)
        self.overlap.setRange(0, MAX_OVERLAP)
        self.overlap.setSingleStep(OVERLAP_STEP)
        self.overlap.setSuffix(" %")
        self.overlap.valueChanged.connect(lambda: self._edit("overlap"))
        self._add(form, tr("&Overlap"), self.overlap, row(self.overlap))

    def _add(self, form: QFormLayout, caption: str, widget: QWidget, layout: QBoxLayout) -> None:
        label = QLabel(caption, self)
        label.setBuddy(widget)
        form.addRow(label, layout)
