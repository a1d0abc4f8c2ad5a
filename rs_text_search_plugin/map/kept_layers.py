"""Results that the person keeps: each in a hue of its own, until it is removed."""

from __future__ import annotations

from dataclasses import replace

from qgis.core import QgsCoordinateTransform, QgsCsException, QgsProject

from rs_text_search_plugin.results_store.layer_metadata import metadata_of
from rs_text_search_plugin.results_store.stored_result import Json, StoredResult, now

from .layer_group import is_visible, matches_layer, remove_layers, result_layers, set_visible
from .result_layers import ResultLayers
from .styles import next_hue


class KeptLayers:
    """What can be done with kept results on the map. What writes may raise StorageError."""

    def __init__(self, layers: ResultLayers) -> None:
        self.layers = layers
        self.store = layers.store

    def keep(self, title: str = "") -> StoredResult | None:
        """Pin the current result, in a hue of its own; the next search leaves it alone."""
        self.layers.remember_filter()
        current = self.store.current
        if current is None:
            return None
        hue = next_hue([stored.hue for stored in self.store.kept])
        return self.layers.pin(replace(current, hue=hue, title=title or current.title))

    def add(self, result: Json, request: Json) -> StoredResult:
        """Keep a result that was never the current one."""
        hue = next_hue([stored.hue for stored in self.store.kept])
        stored = StoredResult("", result["query"], request, result, now(), hue=hue)
        saved = self.store.save_result(stored)
        self.layers.draw(saved, None)
        return saved

    def release(self, table: str) -> None:
        """Make a kept result the current one again, in place of the one there is."""
        current, stored = self.store.current, self.store.result(table)
        if stored is None:
            return
        if current is not None:
            self.layers.remove(current.table)
        self.show(table, True)
        self.layers.pin(replace(stored, hue=""))

    def rename(self, table: str, title: str) -> None:
        """Give a result another title, in the legend too."""
        stored = self.store.result(table)
        if stored is None:
            return
        renamed = replace(stored, title=title)
        self.store.update(renamed)
        layer = matches_layer(table)
        if layer is not None:
            layer.setName(title)
            layer.setMetadata(metadata_of(renamed))

    def renew(self, table: str, result: Json) -> StoredResult | None:
        """Put a newer answer to the same query in place of a kept one; the older can be restored."""
        old = self.store.result(table)
        if old is None:
            return None
        layer = matches_layer(table)
        answer = {name: value for name, value in result.items() if name != "heat"}
        new = self.store.save_result(replace(old, result=answer, made=now(), heat=[]))
        remove_layers([other for other in result_layers(table) if other is not layer])
        self.layers.draw(new, layer)
        self.store.remove(table)
        return new

    def show(self, table: str, visible: bool) -> None:
        """Show or hide a kept result; one whose layer was removed is added again."""
        stored = self.store.result(table)
        if stored is None:
            return
        if visible and matches_layer(table) is None:
            self.layers.draw(stored, None)
            self.layers.draw_heat(stored)
        for layer in result_layers(table):
            set_visible(layer, visible)

    def shown(self) -> set[str]:
        """Tables of kept results whose matches are switched on in the layer tree."""
        layers = {stored.table: matches_layer(stored.table) for stored in self.store.kept}
        return {table for table, layer in layers.items() if layer is not None and is_visible(layer)}

    def zoom_to(self, table: str) -> None:
        """Show all matches of a result in the map."""
        layer, canvas = matches_layer(table), self.layers.canvas
        if layer is None or layer.extent().isEmpty():
            return
        way = QgsCoordinateTransform(
            layer.crs(), canvas.mapSettings().destinationCrs(), QgsProject.instance()
        )
        try:
            canvas.setExtent(way.transformBoundingBox(layer.extent()))
        except QgsCsException:  # out of the reach of the map's CRS: there is nothing to go to
            return
        canvas.refresh()
