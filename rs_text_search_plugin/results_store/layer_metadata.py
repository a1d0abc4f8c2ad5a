"""What a result's layer says about where it comes from: query, model, tiles, filter, date, version."""

from __future__ import annotations

from qgis.core import QgsLayerMetadata

from rs_text_search_plugin.translation import tr
from rs_text_search_plugin.version import VERSION

from .stored_result import Json, StoredResult


def metadata_of(stored: StoredResult) -> QgsLayerMetadata:
    """The provenance of a result as a layer's metadata."""
    metadata = QgsLayerMetadata()
    metadata.setIdentifier(stored.table)
    metadata.setTitle(stored.title)
    metadata.setType("dataset")
    metadata.setAbstract(stored.result.get("verdict", ""))
    metadata.setHistory(history(stored))
    return metadata


def history(stored: StoredResult) -> list[str]:
    """One line a fact, in the order a reader asks for them."""
    result = stored.result
    return [
        tr("Query: {query}").format(query=result["query"]),
        tr("Model: {model}").format(model=result["model"]),
        tr("Fingerprint of the model: {fingerprint}").format(fingerprint=fingerprint(result)),
        *[_tiles(source) for source in result["sources"]],
        tr("Shown: score from {score:g}, best {top}").format(score=stored.min_score, top=stored.top),
        tr("Searched: {date}").format(date=stored.made),
        tr("RS Text Search {version}").format(version=VERSION),
    ]


def fingerprint(result: Json) -> str:
    """sha256 of the model's weights, as its indexes carry it; empty where the engine did not say."""
    found = {source.get("fingerprint", "") for source in result["sources"]}
    return found.pop() if len(found) == 1 else ""


def _tiles(source: Json) -> str:
    """Tile settings of one raster's index."""
    facts = [source["source"]]
    if source.get("tile_px"):
        facts.append(
            tr("tiles of {width} x {height} px").format(
                width=source["tile_px"][0], height=source["tile_px"][1]
            )
        )
    if source.get("overlap") is not None:
        facts.append(tr("overlap {overlap:.0%}").format(overlap=source["overlap"]))
    return tr("Raster: {facts}").format(facts=", ".join(facts))
