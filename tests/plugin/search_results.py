"""Answers of the engine's `search`, made by hand."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsCoordinateReferenceSystem

VARIANT = QgsCoordinateReferenceSystem.WktVariant.WKT_PREFERRED
UTM = QgsCoordinateReferenceSystem("EPSG:32632").toWkt(VARIANT)
WGS84 = QgsCoordinateReferenceSystem("EPSG:4326").toWkt(VARIANT)

Json = dict[str, Any]


def match(rank, score, index="a.rsidx", at=(500000.0, 5600000.0), side=100.0) -> Json:
    x, y = at
    corners = [[x, y], [x + side, y], [x + side, y - side], [x, y - side]]
    return {"rank": rank, "score": score, "region": 0, "id": 10 * rank, "index": index, "corners": corners}


def result(*matches, crs=None, query="tanks") -> Json:
    crs = crs or {"a.rsidx": UTM}
    tiles = {"tile_px": [100, 100], "overlap": 0.25, "fingerprint": "f" * 64, "gsd_m": 1.0}
    sources = [{"index": name, "source": name[:-6], "crs": wkt, **tiles} for name, wkt in crs.items()]
    verdict = f"{len(matches)} matches"
    found = {"query": query, "model": "compact", "verdict": verdict, "histogram": [1] * 20}
    return {**found, "sources": sources, "matches": list(matches)}
