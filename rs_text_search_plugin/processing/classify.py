"""Classify indexed rasters by a list of phrases."""

from __future__ import annotations

from pathlib import Path

from qgis.core import (
    QgsFeatureSink,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsWkbTypes,
)

from rs_text_search_plugin.contracts.scores import POSSIBLE
from rs_text_search_plugin.engine_process.client import Json
from rs_text_search_plugin.map.styles import style_phrases
from rs_text_search_plugin.results_store.classification import classified, phrases_in, requests_for
from rs_text_search_plugin.results_store.tile_features import common_crs, match_features, match_fields
from rs_text_search_plugin.translation import mark, tr

from .algorithm import EngineAlgorithm, area_of, index_parameters, indexes_of
from .search import Style

PHRASES = "PHRASES"
FILE = "FILE"
MIN_SCORE = "MIN_SCORE"
EXTENT = "EXTENT"
OUTPUT = "OUTPUT"
SUMMARY = "SUMMARY"
PHRASE_STYLE = Style(style_phrases)


class ClassifyAlgorithm(EngineAlgorithm):
    """Gives each tile the phrase that claims it best, or none."""

    NAME = "classify"
    TITLE = mark("Classify rasters by phrases")
    ICON = "search"
    HELP = mark(
        "Searches for several phrases and gives each tile the one that claims it best. A tile that no phrase "
        "claims with the lowest score or more is left out.\n\n"
        "Write one phrase a line, or choose a text file with one phrase a line. The layer has the columns of "
        "“Search rasters with words”, and the phrase."
    )

    def initAlgorithm(self, configuration: Json | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        whole = QgsProcessingParameterNumber.Type.Integer
        polygon = QgsProcessing.SourceType.TypeVectorPolygon
        low = tr("Lowest score")
        for parameter in (
            *index_parameters(),
            QgsProcessingParameterString(PHRASES, tr("Phrases, one a line"), multiLine=True, optional=True),
            QgsProcessingParameterFile(FILE, tr("or a text file of phrases"), optional=True),
            QgsProcessingParameterNumber(MIN_SCORE, low, whole, POSSIBLE, minValue=0, maxValue=100),
            QgsProcessingParameterExtent(EXTENT, tr("Only in this area"), optional=True),
            QgsProcessingParameterFeatureSink(OUTPUT, tr("Classified tiles"), polygon),
        ):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputString(SUMMARY, tr("Tiles of each phrase")))

    def work(self, parameters: Json, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> Json:
        """Search for every phrase, write each tile once, report how many each phrase got."""
        phrases = self._phrases(parameters, context)
        where = {
            "indexes": indexes_of(self, parameters, context),
            "min_score": self.parameterAsDouble(parameters, MIN_SCORE, context),
            **area_of(self, parameters, EXTENT, context),
        }
        answers = self.ask_all("search", requests_for(phrases, where), feedback)
        result = classified(phrases, answers)
        feedback.pushInfo(result["verdict"])
        destination = self._write(result, parameters, context)
        PHRASE_STYLE.attach(destination, result["query"], context)
        return {OUTPUT: destination, SUMMARY: result["verdict"]}

    def _phrases(self, parameters: Json, context: QgsProcessingContext) -> list[str]:
        """From the text and the file, in this order. Raises: QgsProcessingException when there is none."""
        file, text = self.parameterAsString(parameters, FILE, context), ""
        if file:
            try:
                text = Path(file).read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                raise QgsProcessingException(
                    tr("The phrases cannot be read: {}. Choose a text file in UTF-8.").format(error)
                ) from error
        phrases = phrases_in(f"{self.parameterAsString(parameters, PHRASES, context)}\n{text}")
        if not phrases:
            raise QgsProcessingException(tr("There are no phrases: write one a line, or choose a file."))
        return phrases

    def _write(self, result: Json, parameters: Json, context: QgsProcessingContext) -> str:
        fields, crs = match_fields(), common_crs(result)
        polygon = QgsWkbTypes.Type.Polygon
        sink, destination = self.parameterAsSink(parameters, OUTPUT, context, fields, polygon, crs)
        if sink is None:
            raise QgsProcessingException(self.invalidSinkError(parameters, OUTPUT))
        sink.addFeatures(match_features(result, crs, {}), QgsFeatureSink.Flag.FastInsert)
        return str(destination)
