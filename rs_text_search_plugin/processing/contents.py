"""List what is in indexed rasters."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSink,
)
from qgis.PyQt.QtCore import QVariant

from rs_text_search_plugin.engine_process.client import Json
from rs_text_search_plugin.translation import mark, tr

from .algorithm import EngineAlgorithm, index_parameters, indexes_of
from .sinks import OUTPUT, Row, write_rows

FOUND = "FOUND"
FIELDS = (
    ("name", QVariant.String),
    ("group", QVariant.String),
    ("places", QVariant.Int),
    ("tiles", QVariant.Int),
    ("area_m2", QVariant.Double),
    ("score", QVariant.Double),
)


class ContentsAlgorithm(EngineAlgorithm):
    """Makes a table of what a raster shows."""

    NAME = "contents"
    TITLE = mark("List what is in rasters")
    ICON = "describe"
    DRAWS = False
    HELP = mark(
        "Makes a table of everything in the vocabulary that indexed rasters show: in how many places, over which "
        "area, and with which best score.\n\n"
        "A place is a region of touching tiles that score 50 or more. Search for an entry's name to see where "
        "its places are."
    )

    def initAlgorithm(self, configuration: Json | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        for parameter in index_parameters():
            self.addParameter(parameter)
        table = QgsProcessing.SourceType.TypeVector
        self.addParameter(QgsProcessingParameterFeatureSink(OUTPUT, tr("Contents"), table))
        self.addOutput(QgsProcessingOutputNumber(FOUND, tr("Entries found")))

    def work(self, parameters: Json, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> Json:
        """Ask, and write the table."""
        found = self.ask("contents", {"indexes": indexes_of(self, parameters, context)}, feedback)
        rows = [Row([row[name] for name, _ in FIELDS]) for row in found["rows"]]
        destination = write_rows(self, (parameters, context, feedback), FIELDS, rows)
        return {OUTPUT: destination, FOUND: len(rows)}
