"""Search indexed rasters with words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QVariant

from rs_text_search_plugin.engine_process.client import Json
from rs_text_search_plugin.map.styles import style_heat, style_matches
from rs_text_search_plugin.translation import mark, tr

from .algorithm import EngineAlgorithm, advanced, area_of, index_parameters, indexes_of
from .sinks import OUTPUT, Row, write_rows

TEXT = "TEXT"
WITHOUT = "WITHOUT"
TOP = "TOP"
MIN_SCORE = "MIN_SCORE"
EXTENT = "EXTENT"
RERANK = "RERANK"
HEAT = "HEAT"
VERDICT = "VERDICT"
STRONG = "STRONG"
POSSIBLE = "POSSIBLE"
UNNAMED = ("", "Matches", "Heat")
"""What QGIS calls the outputs when the person does not."""
FIELDS = (
    ("rank", QVariant.Int),
    ("score", QVariant.Double),
    ("query", QVariant.String),
    ("model", QVariant.String),
    ("raster", QVariant.String),
    ("tile_id", QVariant.LongLong),
    ("region", QVariant.Int),
    ("index", QVariant.String),
)
"""As in the exports, and the index's folder, by which `export` finds the tiles again."""


class Style(QgsProcessingLayerPostProcessorInterface):
    """Colours an output once it is loaded. QGIS keeps no reference, so the two there are live on."""

    def __init__(self, colour: Callable[[Any], None]) -> None:
        super().__init__()
        self.colour = colour

    def postProcessLayer(  # noqa: N802 - QGIS's name
        self, layer: QgsMapLayer | None, context: QgsProcessingContext, feedback: QgsProcessingFeedback | None
    ) -> None:
        """Style the layer."""
        self.colour(layer)

    def attach(self, output: str, name: str, context: QgsProcessingContext) -> None:
        """Style an output, if the person wants it loaded, and name it by the query."""
        if context.willLoadLayerOnCompletion(output):
            details = context.layerToLoadOnCompletionDetails(output)
            details.name = name if details.name in UNNAMED else details.name
            details.setPostProcessor(self)


MATCH_STYLE, HEAT_STYLE = Style(style_matches), Style(style_heat)


class SearchAlgorithm(EngineAlgorithm):
    """Ranks the tiles of indexes by how well they fit a text."""

    NAME = "search"
    TITLE = mark("Search rasters with words")
    ICON = "search"
    HELP = mark(
        "Finds the places of indexed rasters that show what the text says, best first.\n\n"
        "Choose rasters that were indexed with “Index raster for text search”, or an index folder. "
        "Write a few English words, such as: storage tanks near the sea.\n\n"
        "The score is 0 to 100 and means the same on every raster: from 80 a place is strong, from 50 "
        "possible, below 50 nothing is claimed. “Nothing stands out” is an answer.\n\n"
        "Without: what must not be there. Heat: the score of every tile as a raster, for one index. Rerank: a "
        "second model (MTGFE-style, see Models in the search panel) reads the best 64 again and puts them into a "
        "better order; scores stay."
    )

    def initAlgorithm(self, configuration: Json | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        whole = QgsProcessingParameterNumber.Type.Integer
        for parameter in (
            *index_parameters(),
            QgsProcessingParameterString(TEXT, tr("What to search for")),
            QgsProcessingParameterString(WITHOUT, tr("Without"), optional=True),
            QgsProcessingParameterNumber(TOP, tr("At most this many matches"), whole, 200, minValue=1),
            QgsProcessingParameterNumber(MIN_SCORE, tr("Lowest score"), whole, 0, minValue=0, maxValue=100),
            QgsProcessingParameterExtent(EXTENT, tr("Only in this area"), optional=True),
            advanced(QgsProcessingParameterBoolean(RERANK, tr("Rerank the best matches"), False)),
            QgsProcessingParameterFeatureSink(
                OUTPUT, tr("Matches"), QgsProcessing.SourceType.TypeVectorPolygon
            ),
            QgsProcessingParameterRasterDestination(HEAT, tr("Heat"), optional=True, createByDefault=False),
        ):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputString(VERDICT, tr("Verdict")))
        self.addOutput(QgsProcessingOutputNumber(STRONG, tr("Strong places")))
        self.addOutput(QgsProcessingOutputNumber(POSSIBLE, tr("Possible places")))

    def work(self, parameters: Json, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> Json:
        """Search, write the matches, report what stands out."""
        heat = self.parameterAsOutputLayer(parameters, HEAT, context)
        request = {
            "indexes": indexes_of(self, parameters, context),
            "text": self.parameterAsString(parameters, TEXT, context),
            "without": self.parameterAsString(parameters, WITHOUT, context),
            "top": self.parameterAsInt(parameters, TOP, context),
            "min_score": self.parameterAsDouble(parameters, MIN_SCORE, context),
            "rerank": self.parameterAsBool(parameters, RERANK, context),
            **area_of(self, parameters, EXTENT, context),
            **({"heat": heat} if heat else {}),
        }
        result = self.ask("search", request, feedback)
        feedback.pushInfo(result["verdict"])
        call, crs = (parameters, context, feedback), result["sources"][0]["crs"]
        destination = write_rows(self, call, FIELDS, rows_of(result), crs)
        MATCH_STYLE.attach(destination, result["query"], context)
        HEAT_STYLE.attach(heat, f"{result['query']} (heat)", context)
        counts = {STRONG: result["strong"], POSSIBLE: result["possible"], VERDICT: result["verdict"]}
        return {OUTPUT: destination, **counts, **({HEAT: heat} if heat else {})}


def rows_of(result: Json) -> list[Row]:
    """Matches as rows of FIELDS."""
    sources = {source["index"]: source for source in result["sources"]}
    rows = []
    for match in result["matches"]:
        source = sources[match["index"]]
        rows.append(Row(attributes(match, source, result), match["corners"], source["crs"]))
    return rows


def attributes(match: Json, source: Json, result: Json) -> list[Any]:
    """Values in the order of FIELDS."""
    raster = Path(source["source"]).name
    place = [match["id"], match["region"], match["index"]]
    return [match["rank"], match["score"], result["query"], result["model"], raster, *place]
