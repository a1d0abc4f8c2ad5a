"""Verdicts of a review, stored and shown on every layer of their query."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsFeatureRequest, QgsProject, QgsVectorFileWriter, QgsVectorLayer

from rs_text_search_plugin.results_store.geopackage import cannot_write
from rs_text_search_plugin.results_store.store import ResultStore
from rs_text_search_plugin.results_store.stored_result import StoredResult
from rs_text_search_plugin.results_store.verdicts import Verdict

from .layer_group import matches_layer

DRIVERS = {".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".geojson": "GeoJSON", ".fgb": "FlatGeobuf"}


def put_verdict(store: ResultStore, verdict: Verdict) -> None:
    """Store a verdict and show it. Raises: StorageError."""
    store.put_verdict(verdict)
    _mark(store, verdict.query, (verdict.index, verdict.tile_id), verdict.verdict.value)


def remove_verdict(store: ResultStore, query: str, index: str, tile_id: int) -> None:
    """Take a verdict back. Raises: StorageError."""
    store.remove_verdict(query, index, tile_id)
    _mark(store, query, (index, tile_id), None)


def export_verdicts(store: ResultStore, stored: StoredResult, path: Path) -> int:
    """Write the judged matches of a result with their verdicts; how many. Raises: StorageError, KeyError."""
    layer = QgsVectorLayer(store.source_of(stored), stored.title, "ogr")
    layer.setSubsetString('"verdict" IS NOT NULL')
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = DRIVERS[path.suffix.lower()]
    options.fileEncoding = "UTF-8"
    context = QgsProject.instance().transformContext()
    failure, reason, *_ = QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), context, options)
    if failure:
        raise cannot_write(path, reason)
    return int(layer.featureCount())


def _mark(store: ResultStore, query: str, tile: tuple[str, int], value: str | None) -> None:
    request = QgsFeatureRequest().setFilterExpression(f'"tile_id" = {tile[1]:d}')
    for stored in store.results:
        layer = matches_layer(stored.table)
        if layer is not None and stored.result["query"] == query:
            column = layer.fields().lookupField("verdict")
            found = [f.id() for f in layer.getFeatures(request) if f["index"] == tile[0]]
            layer.dataProvider().changeAttributeValues({fid: {column: value} for fid in found})
            layer.triggerRepaint()
