"""Matches of a search as features of a polygon table."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsCoordinateReferenceSystem, QgsFeature, QgsFields, QgsProject
from qgis.PyQt.QtCore import QVariant

from rs_text_search_plugin.map.tile_geometry import crs_from, tile_geometry

from .attribute_table import Column, fields_of
from .stored_result import Json
from .verdicts import Verdict

COLUMNS = (
    Column("rank", QVariant.Int),
    Column("score", QVariant.Double),
    Column("region", QVariant.Int),
    Column("tile_id", QVariant.LongLong),
    Column("raster"),
    Column("index"),
    Column("query"),
    Column("model"),
    Column("phrase"),
    Column("verdict"),
)

Verdicts = dict[tuple[str, int], Verdict]


def match_fields() -> QgsFields:
    """The columns of a result's table."""
    return fields_of(COLUMNS)


def common_crs(result: Json) -> QgsCoordinateReferenceSystem:
    """The CRS that all rasters share, else the project's."""
    wanted = {source["crs"] for source in result["sources"]}
    return crs_from(wanted.pop()) if len(wanted) == 1 else QgsProject.instance().crs()


def match_features(result: Json, crs: QgsCoordinateReferenceSystem, verdicts: Verdicts) -> list[QgsFeature]:
    """A feature for each match that can be drawn in `crs`."""
    sources = {source["index"]: source for source in result["sources"]}
    systems = {index: crs_from(source["crs"]) for index, source in sources.items()}
    fields = match_fields()
    features = []
    for match in result["matches"]:
        geometry = tile_geometry(match["corners"], systems[match["index"]], crs)
        if geometry is not None:
            feature = QgsFeature(fields)
            feature.setGeometry(geometry)
            feature.setAttributes(_attributes(match, sources[match["index"]]["source"], result, verdicts))
            features.append(feature)
    return features


def _attributes(match: Json, raster: str, result: Json, verdicts: Verdicts) -> list[Any]:
    """Values in the order of COLUMNS."""
    verdict = verdicts.get((match["index"], match["id"]))
    numbers = [match["rank"], match["score"], match["region"], match["id"]]
    texts = [raster, match["index"], result["query"], result["model"], match.get("phrase")]
    return [*numbers, *texts, verdict.verdict.value if verdict else None]
