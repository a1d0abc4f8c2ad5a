"""A raster layer of the project as the dock sees it, and the state of its index in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qgis.core import QgsRasterLayer

from rs_text_search_plugin.gui.quantities import tiles
from rs_text_search_plugin.map.raster_source import shown_bands, source_of
from rs_text_search_plugin.translation import tr

Json = dict[str, Any]
COMPLETE, UNFINISHED, OTHER_MODEL = "complete", "unfinished", "other-model"
SEARCHABLE = (COMPLETE, UNFINISHED)
OUTDATED = ("stale", OTHER_MODEL, "damaged")


@dataclass
class Raster:
    """A raster layer. `reason` tells why it cannot be indexed, empty when it can."""

    layer_id: str
    name: str
    source: str = ""
    reason: str = ""
    bands: list[int] = field(default_factory=list)
    """The bands the layer shows as red, green and blue, 1-based; empty for the engine's choice."""
    info: Json = field(default_factory=dict)
    """What the engine reports about its index; empty until asked."""
    failure: str = ""
    """Why indexing it failed the last time; empty once it succeeded."""
    mismatch: str = ""
    """Why the engine refused to search its index, such as another version of the model; empty when it did not."""
    settings_differ: bool = False
    """Whether the person has since asked for another model, tile size or overlap."""

    @property
    def state(self) -> str:
        """The state of its index, empty until known."""
        return str(self.info.get("state", ""))

    @property
    def index(self) -> str:
        """The folder of its index, empty when there is none."""
        return str(self.info.get("index") or "")

    @property
    def searchable(self) -> bool:
        """Whether there is something to search in."""
        return self.state in SEARCHABLE and bool(self.info["tiles"]) and not self.mismatch

    @property
    def outdated(self) -> bool:
        """Whether an index is there that indexing replaces."""
        return (
            bool(self.mismatch)
            or self.state in OUTDATED
            or (self.settings_differ and self.state in SEARCHABLE)
        )

    @property
    def due(self) -> bool:
        """Whether there is something to index."""
        return self.state != COMPLETE or self.settings_differ or bool(self.mismatch)

    def stamp(self) -> tuple[str, int, int]:
        """Index folder, when it was last written (ns), tiles: what a result or a thumbnail was made from."""
        meta = Path(self.index, "meta.json")
        written = meta.stat().st_mtime_ns if meta.is_file() else 0
        return self.index, written, int(self.info.get("tiles", 0))


def remade(before: set[tuple[str, int, int]], now: set[tuple[str, int, int]]) -> set[str]:
    """Indexes of the stamps `before` that are gone or have been made anew: their tile ids mean other tiles now."""
    written = {index: time for index, time, _ in now}
    return {index for index, time, _ in before if index not in written or (time and written[index] != time)}


def raster_of(layer: QgsRasterLayer) -> Raster:
    """What the dock needs to know of a raster layer."""
    if layer.providerType() != "gdal":
        reason = tr("Only what GDAL reads can be indexed; this layer comes from '{}'.")
        return Raster(layer.id(), layer.name(), reason=reason.format(layer.providerType()))
    if not layer.isValid():
        reason = tr("The raster cannot be opened. Repair the layer's data source.")
        return Raster(layer.id(), layer.name(), reason=reason)
    return Raster(layer.id(), layer.name(), source_of(layer), bands=shown_bands(layer))


def state_text(raster: Raster) -> str:
    """The state of a raster's index in two or three words."""
    if raster.reason:
        return tr("cannot be indexed")
    if raster.failure:
        return tr("indexing failed")
    if raster.mismatch:
        return tr("made otherwise")
    return index_text(raster.info) if raster.info else "..."


def index_text(info: Json) -> str:
    """The state of an index in two or three words."""
    if info["state"] == COMPLETE:
        return tiles(info["tiles"])
    if info["state"] == UNFINISHED:
        return tr("unfinished, {} %").format(100 * info["tiles"] // max(1, info["tiles_planned"]))
    if info["state"] == OTHER_MODEL:
        return tr("made with {}").format(info["model"])
    texts = {"none": tr("not indexed"), "stale": tr("raster changed"), "damaged": tr("index damaged")}
    return texts.get(info["state"], str(info["state"]))


def explanation(raster: Raster) -> str:
    """Why a raster is in its state, and what to do about it; its source when there is nothing to explain."""
    return raster.reason or raster.failure or raster.mismatch or raster.info.get("detail") or raster.source
