"""Shows, selects, filters, replaces and removes the match layer while the map draws it, over and over.

    python -m tests.plugin.map.remove_while_drawn SECONDS

Prints the number of rounds at the end. QGIS may crash here, so a test runs it as a process of its own.
"""

from __future__ import annotations

import os
import sys
import time

from qgis.core import QgsApplication, QgsCoordinateReferenceSystem, QgsProject, QgsRectangle
from qgis.gui import QgsDualView, QgsLayerTreeMapCanvasBridge, QgsMapCanvas

from rs_text_search_plugin.map.result_layers import ResultLayers
from tests.plugin.search_results import match, result

MATCHES = 200


def answer(query: str) -> dict:
    matches = [match(n + 1, 100 - n / 2, at=(500000 + 100 * n, 5600000), side=90) for n in range(MATCHES)]
    return result(*matches, query=query)


def until_drawing(app: QgsApplication, canvas: QgsMapCanvas) -> None:
    end = time.monotonic() + 0.3
    while not canvas.isDrawing() and time.monotonic() < end:
        app.processEvents()


def one_round(app: QgsApplication, canvas: QgsMapCanvas, layers: ResultLayers) -> None:
    layer = layers.show_matches(answer("tanks"))
    table = QgsDualView()
    table.init(layer, canvas)
    layer.selectByExpression('"rank" < 20')
    layers.filter(50, 150)
    until_drawing(app, canvas)
    layers.show_matches(answer("boats"))
    layers.filter(60, 100)
    until_drawing(app, canvas)
    del table
    layers.clear()


def main() -> None:
    app = QgsApplication([], True)
    app.initQgis()
    canvas = QgsMapCanvas()
    canvas.resize(400, 400)
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    canvas.show()
    canvas.bridge = QgsLayerTreeMapCanvasBridge(QgsProject.instance().layerTreeRoot(), canvas)
    canvas.setExtent(QgsRectangle(500000, 5599000, 520000, 5601000))
    layers = ResultLayers(canvas)
    rounds, end = 0, time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end:
        one_round(app, canvas, layers)
        rounds += 1
    layers.store.discard()
    print(rounds, flush=True)
    os._exit(0)  # the order in which Python takes QGIS down is no part of the test


if __name__ == "__main__":
    main()
