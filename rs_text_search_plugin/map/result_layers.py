"""Results of the store as layers: matches as polygons, heat as rasters, in one group of the layer tree.

Nothing here touches the person's own layers, the filters they set on ours, or the project's CRS. Layers are
found by their result's table, never held, because the person may remove them at any moment.
"""

from __future__ import annotations

from dataclasses import replace

from qgis.core import QgsCoordinateReferenceSystem, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgsMapCanvas

from rs_text_search_plugin.results_store.layer_metadata import metadata_of
from rs_text_search_plugin.results_store.store import ResultStore
from rs_text_search_plugin.results_store.stored_result import Json, StoredResult, now
from rs_text_search_plugin.results_store.tile_features import common_crs
from rs_text_search_plugin.translation import tr

from .layer_group import (
    RESULT_PROPERTY,
    add_heat,
    add_matches,
    heat_layers,
    matches_layer,
    remove_layers,
    result_layers,
)
from .styles import ALL_MATCHES, show_scores, style_heat, style_matches, style_phrases
from .tile_highlight import TileHighlight

TILE_TITLE = 'concat("rank", \': \', round("score"))'


class ResultLayers:
    """The current result, replaced by the next search (kept ones: kept_layers.py). May raise StorageError."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self.canvas = canvas
        self.store = ResultStore()
        self.highlight = TileHighlight(canvas)
        self._filter: tuple[float, int] = (0.0, ALL_MATCHES)
        self._searched = ""  # table of the result on the panel, which the filter applies to

    # ---- the current result ----

    @property
    def matches(self) -> QgsVectorLayer | None:
        """The layer of the current result, unless there is none or the person removed it."""
        current = self.store.current
        return matches_layer(current.table) if current else None

    def show_matches(self, result: Json, request: Json | None = None) -> QgsVectorLayer:
        """Store what the engine answered to `request` and show it in place of the result before."""
        before = self.store.current
        layer = matches_layer(before.table) if before else None
        answer = {name: value for name, value in result.items() if name != "heat"}
        stored = self.store.save_result(
            StoredResult("", result["query"], request or {}, answer, now(), *self._filter)
        )
        self._follow(stored)
        if before is not None:
            remove_layers(heat_layers(before.table))
        layer = self.draw(stored, layer)
        if before is not None:
            self.store.remove(before.table)
            self.store.purge()
        return layer

    def filter(self, min_score: float, top: int) -> None:
        """Show only matches from `min_score` on and of rank `top` or better; instant, no new search."""
        self._filter = (min_score, top)
        layer = matches_layer(self._searched)
        if layer is not None:
            show_scores(layer, min_score, top)

    def show_heat(self, heats: list[Json]) -> None:
        """Store heat rasters [{index, path}] with the current result and show them under the matches."""
        self.clear_heat()
        if self.store.current is not None and heats:
            self.draw_heat(self.store.save_heat(self.store.current, heats))

    def clear_heat(self) -> None:
        """Remove the heat of the current result."""
        current = self.store.current
        if current is not None and current.heat:
            remove_layers(heat_layers(current.table))
            self.store.update(replace(current, heat=[]))

    def clear(self) -> StoredResult | None:
        """Take the current result off the map; what it was, to be given to `restore`."""
        self.highlight.clear()
        current = self.store.current
        if current is not None:
            self.remember_filter()
            self.remove(current.table)
        self.canvas.refresh()
        return current

    def remove(self, table: str) -> None:
        """Remove a result and its layers; it can be restored until the project is saved, and after by undo."""
        remove_layers(result_layers(table))
        self.store.remove(table)

    def restore(self, stored: StoredResult) -> StoredResult:
        """Bring back what `clear` or `remove` took away."""
        back = self.store.restore(stored)
        self.draw(back, None)
        self.draw_heat(back)
        if not back.kept:
            self._follow(back)
        return back

    # ---- the project's file ----

    def remember_filter(self) -> None:
        """Store the filter with the result that it is applied to."""
        stored = self.store.result(self._searched)
        if stored is not None and (stored.min_score, stored.top) != self._filter:
            low, top = self._filter
            self.store.update(replace(stored, min_score=low, top=top))

    def point_at_store(self) -> None:
        """The GeoPackage lies elsewhere now: take features and heat from there."""
        for stored in self.store.results:
            layer = matches_layer(stored.table)
            if layer is not None:
                self._set_source(layer, stored)
            for heat, file in zip(heat_layers(stored.table), self.store.heat_files(stored)):
                heat.setDataSource(str(file), heat.name(), "gdal")

    def save_styles(self) -> None:
        """Save each layer's style in the GeoPackage, for whoever opens that alone."""
        for stored in self.store.results:
            layer = matches_layer(stored.table)
            if layer is not None:
                layer.saveStyleToDatabase(stored.title, metadata_of(stored).abstract(), True, "")

    def adopt(self) -> None:
        """Take up the layers of a project just opened."""
        for stored in self.store.results:
            for layer in filter(None, [matches_layer(stored.table)]):
                set_no_crs(layer, stored)
        if self.store.current is not None:
            self._follow(self.store.current)

    def shown_tables(self) -> set[str]:
        """Tables of the store that have a layer in the project."""
        found = (layer for layer in result_layers() if isinstance(layer, QgsVectorLayer))
        return {str(layer.customProperty(RESULT_PROPERTY)) for layer in found}

    # ---- layers ----

    def _follow(self, stored: StoredResult) -> None:
        """The filter applies to this result from now on, kept or not."""
        self._searched = stored.table
        self._filter = (stored.min_score, stored.top)

    def pin(self, stored: StoredResult) -> StoredResult:
        """Store another hue, title or both, and draw the layer so."""
        self.store.update(stored)
        self._follow(stored)
        layer = matches_layer(stored.table)
        if layer is not None:
            layer.setName(stored.title)
            style_result(layer, stored)
            show_scores(layer, stored.min_score, stored.top)
        return stored

    def draw(self, stored: StoredResult, layer: QgsVectorLayer | None) -> QgsVectorLayer:
        """Show a result in `layer`, or in a new one."""
        if layer is None:
            layer = QgsVectorLayer(self.store.source_of(stored), stored.title, "ogr")
            layer.setDisplayExpression(TILE_TITLE)
            layer.setCustomProperty(RESULT_PROPERTY, stored.table)
            style_result(layer, stored)
            add_matches(layer)
        else:
            layer.setCustomProperty(RESULT_PROPERTY, stored.table)
            self._set_source(layer, stored)
        set_no_crs(layer, stored)
        show_scores(layer, stored.min_score, stored.top)
        layer.setMetadata(metadata_of(stored))
        return layer

    def _set_source(self, layer: QgsVectorLayer, stored: StoredResult) -> None:
        """Read from the result's table; a filter that the person set stays."""
        subset = layer.subsetString()
        layer.removeSelection()
        layer.setDataSource(self.store.source_of(stored), stored.title, "ogr")
        if subset:
            layer.setSubsetString(subset)

    def draw_heat(self, stored: StoredResult) -> None:
        for file in self.store.heat_files(stored):
            layer = QgsRasterLayer(str(file), tr("Heat"), "gdal")
            if layer.isValid():
                style_heat(layer)
                layer.setCustomProperty(RESULT_PROPERTY, stored.table)
                add_heat(layer)


def style_result(layer: QgsVectorLayer, stored: StoredResult) -> None:
    """By score, by the hue of a kept result, or by phrase."""
    if stored.result.get("phrases"):
        style_phrases(layer)
    else:
        style_matches(layer, stored.hue)


def set_no_crs(layer: QgsVectorLayer, stored: StoredResult) -> None:
    """A table without CRS counts as degrees in a GeoPackage; matches of a raster without CRS have none."""
    if not common_crs(stored.result).isValid():
        layer.setCrs(QgsCoordinateReferenceSystem())
