"""Describe what stands at a place."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterPoint,
)

from rs_text_search_plugin.engine_process.client import Json
from rs_text_search_plugin.map.tile_geometry import wkt2_of
from rs_text_search_plugin.translation import mark, tr

from .algorithm import EngineAlgorithm, index_parameters, indexes_of

POINT = "POINT"
SENTENCE = "SENTENCE"
TAGS = "TAGS"
TILE_ID = "TILE_ID"


class DescribeAlgorithm(EngineAlgorithm):
    """Reads out the tile at a point."""

    NAME = "describe"
    TITLE = mark("Describe a place")
    ICON = "describe"
    HELP = mark(
        "Says in a sentence and in ranked tags what the tile at a point shows: land cover, use, objects.\n\n"
        "The raster must have been indexed with “Index raster for text search”. Where several tiles cover "
        "the point, the one whose centre is nearest is described. It says when it is not sure."
    )

    def initAlgorithm(self, configuration: Json | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        for parameter in (*index_parameters(), QgsProcessingParameterPoint(POINT, tr("Place"))):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputString(SENTENCE, tr("Sentence")))
        self.addOutput(QgsProcessingOutputString(TAGS, tr("Tags")))
        self.addOutput(QgsProcessingOutputNumber(TILE_ID, tr("Tile")))

    def work(self, parameters: Json, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> Json:
        """Describe, and log the tags."""
        point = self.parameterAsPoint(parameters, POINT, context)
        crs = self.parameterAsPointCrs(parameters, POINT, context)
        where = {"crs": wkt2_of(crs)} if crs.isValid() else {}
        request = {"indexes": indexes_of(self, parameters, context), "x": point.x(), "y": point.y(), **where}
        found = self.ask("describe", request, feedback)
        feedback.pushInfo(found["sentence"])
        tags = [f"{tag['name']} ({tag['score']:.0f})" for tag in found["tags"]]
        for tag in tags:
            feedback.pushInfo(f"  {tag}")
        return {SENTENCE: found["sentence"], TAGS: ", ".join(tags), TILE_ID: found["id"]}
