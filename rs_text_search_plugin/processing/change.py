"""Find where a phrase gained or lost between two rasters."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QVariant

from rs_text_search_plugin.engine_process.client import Json
from rs_text_search_plugin.map.raster_source import source_of
from rs_text_search_plugin.translation import mark, tr

from .algorithm import EngineAlgorithm, checked
from .sinks import OUTPUT, Row, write_rows

BEFORE, AFTER, TEXT, TOP, LEAST, VERDICT = "BEFORE", "AFTER", "TEXT", "TOP", "LEAST", "VERDICT"
FIELDS = (
    ("rank", QVariant.Int),
    ("direction", QVariant.String),
    ("change", QVariant.Double),
    ("score_before", QVariant.Double),
    ("score_after", QVariant.Double),
    ("checked", QVariant.Bool),
    ("id", QVariant.LongLong),
    ("index", QVariant.String),
)


class ChangeAlgorithm(EngineAlgorithm):
    """Compares two rasters of the same place in words."""

    NAME = "change"
    TITLE = mark("Find change in words")
    ICON = "search"
    HELP = mark(
        "Ranks places by how much a phrase, such as “new houses”, gained or lost between two rasters of the same "
        "place.\n\n"
        "Both must be indexed with the same model; their tiles need not match. The best candidates are checked on "
        "the pixels, and rasters may lie an eighth of a tile apart. Other seasons and colours are evened out by "
        "each raster's own background, but a field that is bare in one and green in the other has changed."
    )

    def initAlgorithm(self, configuration: Json | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        whole = QgsProcessingParameterNumber.Type.Integer
        for parameter in (
            QgsProcessingParameterRasterLayer(BEFORE, tr("Earlier raster")),
            QgsProcessingParameterRasterLayer(AFTER, tr("Later raster")),
            QgsProcessingParameterString(TEXT, tr("What may have come or gone")),
            QgsProcessingParameterNumber(TOP, tr("At most this many places"), whole, 50, minValue=1),
            QgsProcessingParameterNumber(
                LEAST, tr("Least change of score"), whole, 20, minValue=0, maxValue=100
            ),
            QgsProcessingParameterFeatureSink(
                OUTPUT, tr("Changes"), QgsProcessing.SourceType.TypeVectorPolygon
            ),
        ):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputString(VERDICT, tr("Verdict")))

    def work(self, parameters: Json, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> Json:
        """Compare, and write the places."""
        before, after = (
            source_of(checked(self.parameterAsRasterLayer(parameters, name, context)))
            for name in (BEFORE, AFTER)
        )
        request = {
            "before": before,
            "after": after,
            "text": self.parameterAsString(parameters, TEXT, context),
            "top": self.parameterAsInt(parameters, TOP, context),
            "least": self.parameterAsDouble(parameters, LEAST, context),
        }
        found = self.ask("change", request, feedback)
        feedback.pushInfo(found["verdict"])
        rows = [Row([p[name] for name, _ in FIELDS], p["corners"], p["crs"]) for p in found["places"]]
        destination = write_rows(self, (parameters, context, feedback), FIELDS, rows)
        return {OUTPUT: destination, VERDICT: found["verdict"]}
