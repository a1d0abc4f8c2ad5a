"""Renders search results over their raster with QGIS itself. Run by the Python that has QGIS:

    QT_QPA_PLATFORM=offscreen /usr/bin/python3 -m tests.demo.render_map SPEC.json

SPEC: {"raster", "title", "note", "out", "matches": [{"phrase", "path"}]}; highlights look as in the plugin.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsLayoutExporter,
    QgsLayoutItemLabel,
    QgsLayoutItemLegend,
    QgsLayoutItemMap,
    QgsLayoutItemScaleBar,
    QgsLayoutPoint,
    QgsLayoutSize,
    QgsMapLayer,
    QgsPalLayerSettings,
    QgsPrintLayout,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QFont

from rs_text_search_plugin.map.styles import style_matches

PAGE = (297.0, 240.0)
"""mm"""
MAP = (10.0, 22.0, 208.0, 208.0)
"""x, y, width, height in mm"""
SIDE = 224.0
"""Left edge of the column with the legend, mm."""


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    application = QgsApplication([], False)
    application.initQgis()
    render(spec)
    QgsProject.instance().clear()
    application.exitQgis()


def render(spec: dict[str, Any]) -> None:
    """Composes the page and writes the picture."""
    raster = QgsRasterLayer(spec["raster"], Path(spec["raster"]).name)
    layers = [matches_layer(entry["path"], entry["phrase"]) for entry in spec["matches"]]
    QgsProject.instance().setCrs(raster.crs())
    QgsProject.instance().addMapLayers([*layers, raster])
    layout = QgsPrintLayout(QgsProject.instance())
    layout.initializeDefaults()
    layout.pageCollection().page(0).setPageSize(QgsLayoutSize(*PAGE))
    view = add_map(layout, [*layers, raster])
    add_label(layout, spec["title"], 10, 8, PAGE[0] - 20, 18, bold=True)
    add_legend(layout, view, layers[0])
    words = "\n".join(f"“{entry['phrase']}”" for entry in spec["matches"])
    add_label(layout, f"Asked for\n{words}\n\n{spec['note']}", SIDE, 100, PAGE[0] - SIDE - 6, 10)
    add_scale(layout, view)
    settings = QgsLayoutExporter.ImageExportSettings()
    settings.dpi = 150
    problem = QgsLayoutExporter(layout).exportToImage(spec["out"], settings)
    if problem != QgsLayoutExporter.ExportResult.Success:
        raise SystemExit(f"QGIS could not write {spec['out']} (result {problem}).")


def matches_layer(path: str, phrase: str) -> QgsVectorLayer:
    """Matches with the plugin's own style; the best one carries the phrase."""
    layer = QgsVectorLayer(path, phrase, "ogr")
    if not layer.isValid():
        raise SystemExit(f"QGIS cannot open {path}.")
    layer.setSubsetString('"score" >= 50 OR "rank" <= 3')  # what is claimed, or at least the nearest
    style_matches(layer)
    label = QgsPalLayerSettings()
    label.fieldName = 'if("rank" = 1, "query" || \'  \' || to_string(round("score")), \'\')'
    label.isExpression = True
    label.placement = QgsPalLayerSettings.Placement.OutsidePolygons
    label.setFormat(white_on_dark())
    layer.setLabeling(QgsVectorLayerSimpleLabeling(label))
    layer.setLabelsEnabled(True)
    return layer


def white_on_dark() -> QgsTextFormat:
    text = QgsTextFormat()
    text.setFont(QFont("DejaVu Sans", 11, QFont.Weight.Bold))
    text.setColor(QColor("white"))
    casing = QgsTextBufferSettings()
    casing.setEnabled(True)
    casing.setSize(0.9)
    casing.setColor(QColor(20, 20, 20))
    text.setBuffer(casing)
    return text


def add_map(layout: QgsPrintLayout, layers: list[QgsMapLayer]) -> QgsLayoutItemMap:
    view = QgsLayoutItemMap(layout)
    layout.addLayoutItem(view)
    view.attemptMove(QgsLayoutPoint(*MAP[:2]))
    view.attemptResize(QgsLayoutSize(*MAP[2:]))
    view.setLayers(layers)
    view.setExtent(QgsRectangle(0, 0, 1, 1))  # zooming divides by the extent before
    view.zoomToExtent(layers[-1].extent())
    view.setFrameEnabled(True)
    return view


def add_label(
    layout: QgsPrintLayout, text: str, x: float, y: float, width: float, points: int, bold: bool = False
) -> None:
    label = QgsLayoutItemLabel(layout)
    label.setText(text)
    label.setHAlign(Qt.AlignmentFlag.AlignLeft)
    label.setFont(QFont("DejaVu Sans", points, QFont.Weight.Bold if bold else QFont.Weight.Normal))
    layout.addLayoutItem(label)
    label.attemptMove(QgsLayoutPoint(x, y))
    label.attemptResize(QgsLayoutSize(width, 12 if bold else 90))


def add_legend(layout: QgsPrintLayout, view: QgsLayoutItemMap, layer: QgsVectorLayer) -> None:
    """One layer's classes stand for all: every phrase is coloured by the same scores."""
    legend = QgsLayoutItemLegend(layout)
    legend.setAutoUpdateModel(False)
    legend.model().rootGroup().clear()
    legend.model().rootGroup().addLayer(layer).setCustomProperty("cached_name", "Score")
    legend.model().rootGroup().children()[0].setCustomProperty("legend/title-label", "Score, 0-100")
    legend.setLinkedMap(view)
    layout.addLayoutItem(legend)
    legend.attemptMove(QgsLayoutPoint(SIDE - 2, 20))


def add_scale(layout: QgsPrintLayout, view: QgsLayoutItemMap) -> None:
    bar = QgsLayoutItemScaleBar(layout)
    bar.setLinkedMap(view)
    bar.applyDefaultSize()
    layout.addLayoutItem(bar)
    bar.attemptMove(QgsLayoutPoint(SIDE, 214))


if __name__ == "__main__":
    main()
