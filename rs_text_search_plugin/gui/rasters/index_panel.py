"""The button that indexes, what indexing will cost, and how far it is."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QProgressBar, QPushButton, QStackedWidget, QToolButton, QWidget

from rs_text_search_plugin.assets import icon
from rs_text_search_plugin.gui.controls import column, named, row, tool_button, wrapped_label
from rs_text_search_plugin.gui.quantities import duration, rasters, size, tiles
from rs_text_search_plugin.translation import tr

from .index_settings import IndexSettings

Json = dict[str, Any]


class IndexPanel(QWidget):
    """Index button, settings with an estimate, progress. Knows no rasters: it is told what is due."""

    index_wanted = pyqtSignal()
    cancel_wanted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.settings = IndexSettings(self)
        self.settings.hide()
        self.estimate = wrapped_label(self, tr("What the index will cost"))
        self.stack = QStackedWidget(self)
        self.stack.addWidget(self._build_buttons())
        self.stack.addWidget(self._build_progress())
        column(self, self.stack, self.settings, self.estimate)

    def show_due(self, due: int) -> None:
        """Tell how many rasters wait for an index."""
        self.index_button.setEnabled(due > 0)
        self.index_button.setText(tr("&Index {}").format(rasters(due)) if due else tr("&Index"))
        if due == 0:
            self.estimate.clear()
        self.estimate.setVisible(due > 0)

    def show_plans(self, plans: list[Json], notes: list[str]) -> None:
        """Tell what indexing would cost, summed over rasters; nothing where it cannot be told. `notes` follow."""
        if not plans:
            self.estimate.clear()
            return
        number, seconds, space = (sum(plan[key] for plan in plans) for key in ("tiles", "seconds", "bytes"))
        badges = sorted({badge for plan in plans for badge in plan["badges"]})
        parts = [
            f"{tiles(number)} {tile_side(plans)}",
            tr("about {}").format(duration(seconds)),
            tr("{} on disk").format(size(space)),
        ]
        self.estimate.setText(" · ".join(parts + badges + notes))

    def show_progress(self, name: str, progress: Json) -> None:
        """Show how far the raster called `name` is; an empty `progress` means it starts."""
        self.stack.setCurrentIndex(1)
        self.settings.setEnabled(False)
        self.estimate.setVisible(True)
        self.cancel_button.setEnabled(True)
        self.bar.setRange(0, progress.get("total", 0))
        self.bar.setValue(progress.get("done", 0))
        self.estimate.setText(f"{name}: {progress_text(progress)}")

    def end_progress(self) -> None:
        """Go back to the button."""
        self.stack.setCurrentIndex(0)
        self.settings.setEnabled(True)
        self.estimate.clear()

    def _build_buttons(self) -> QWidget:
        page = QWidget(self)
        self.index_button = named(
            QPushButton(icon("index"), tr("&Index"), page),
            tr("Index the checked rasters"),
            tr("Read the checked rasters once, so that they can be searched"),
        )
        self.index_button.clicked.connect(self.index_wanted)
        column(page, row(self.index_button, self._build_settings_button(page), stretch=0))
        return page

    def _build_settings_button(self, page: QWidget) -> QToolButton:
        tip = tr("Model, tile size and overlap")
        self.settings_button = tool_button(page, tr("Se&ttings"), tr("Index settings"), tip)
        self.settings_button.setCheckable(True)
        self.settings_button.toggled.connect(self.settings.setVisible)
        return self.settings_button

    def _build_progress(self) -> QWidget:
        page = QWidget(self)
        tip = tr("Progress of the index; what is done is kept when you cancel")
        self.bar = named(QProgressBar(page), tr("Progress of the index"), tip)
        tip = tr("Stop; what is done is kept and the next run goes on from there")
        self.cancel_button = named(QPushButton(tr("&Cancel"), page), tr("Cancel indexing"), tip)
        self.cancel_button.clicked.connect(self._cancel)
        column(page, row(self.bar, self.cancel_button, stretch=0))
        return page

    def _cancel(self) -> None:
        self.cancel_button.setEnabled(False)
        self.cancel_wanted.emit()


def tile_side(plans: list[Json]) -> str:
    """The finest tiles' side, px and m, where all plans have the same, and how many times larger the others are."""
    sides = {
        f"{plan['tile_px'][0]:,} px" + (f" ({plan['tile_m']:.3g} m)" if plan["tile_m"] else "") + larger(plan)
        for plan in plans
    }
    return tr("of {}").format(sides.pop()) if len(sides) == 1 else tr("of several sizes")


def larger(plan: Json) -> str:
    """The scales above the finest one, such as ", 2 and 4 times"."""
    times = [str(2**level) for level in range(1, plan.get("levels", 1))]
    return tr(" and {} times as large").format(", ".join(times)) if times else ""


def progress_text(progress: Json) -> str:
    """Tiles done, tiles a second, time left; what the engine reports at the start."""
    total = progress.get("total", 0)
    if not total:
        return progress.get("message") or tr("starting")
    parts = [tr("{} of {}").format(f"{progress['done']:,}", tiles(total))]
    if progress.get("rate"):
        parts.append(tr("{} tiles/s").format(f"{progress['rate']:,.0f}"))
    if progress.get("eta_s") is not None:
        parts.append(tr("{} left").format(duration(progress["eta_s"])))
    return ", ".join(parts)


def percent(progress: Json) -> int:
    """How much of an index is done, 0-100."""
    return int(100 * progress.get("done", 0) / max(1, progress.get("total", 0)))
