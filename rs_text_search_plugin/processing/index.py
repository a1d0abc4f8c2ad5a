"""Index a raster for text search."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from rs_text_search_plugin.engine_process.client import Json
from rs_text_search_plugin.map.raster_source import shown_bands, source_of
from rs_text_search_plugin.translation import mark, tr

from .algorithm import EngineAlgorithm, advanced, area_of, checked, decimals

INPUT = "INPUT"
TILE_SIZE = "TILE_SIZE"
UNIT = "UNIT"
OVERLAP = "OVERLAP"
EXTENT = "EXTENT"
BANDS = "BANDS"
MODEL = "MODEL"
DEVICE = "DEVICE"
LEVELS = "LEVELS"
RESTART = "RESTART"
OUTPUT = "OUTPUT"
TILES = "TILES"
PIXELS, METRES = 0, 1


class IndexAlgorithm(EngineAlgorithm):
    """Embeds every tile of a raster; what is done already is kept."""

    NAME = "index"
    TITLE = mark("Index raster for text search")
    ICON = "index"
    HELP = mark(
        "Cuts a raster into tiles and stores an embedding of each, so that words can find it.\n\n"
        "The index is a folder beside the raster, named like it with .rsidx at the end, or in the user's "
        "cache where the raster's folder cannot be written. Run it again after an interruption and it goes "
        "on where it stopped.\n\n"
        "Tile size: 0 takes the model's input size. Smaller tiles find smaller things and take longer. "
        "Levels: tiles of twice, four times ... the side as well, so that things of every size are found; 0 takes "
        "as many as the model understands. "
        "Overlap: how much neighbouring tiles share, 0 to 0.9; it finds what lies on a border. "
        "Bands: those that become red, green and blue, in this order, or one that becomes grey; by default "
        "those that the layer shows."
    )

    def initAlgorithm(self, configuration: Json | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        real = QgsProcessingParameterNumber.Type.Double
        bands = QgsProcessingParameterBand(BANDS, tr("Bands"), None, INPUT, optional=True, allowMultiple=True)
        output = QgsProcessingParameterFolderDestination(
            OUTPUT, tr("Index folder (beside the raster when not set)"), optional=True, createByDefault=False
        )
        for parameter in (
            QgsProcessingParameterRasterLayer(INPUT, tr("Raster")),
            decimals(
                1,
                QgsProcessingParameterNumber(TILE_SIZE, tr("Tile size (0: automatic)"), real, 0, minValue=0),
            ),
            QgsProcessingParameterEnum(
                UNIT, tr("Tile size is in"), [tr("pixels"), tr("metres")], defaultValue=PIXELS
            ),
            decimals(
                2, QgsProcessingParameterNumber(OVERLAP, tr("Overlap"), real, 0, minValue=0, maxValue=0.9)
            ),
            QgsProcessingParameterNumber(
                LEVELS,
                tr("Levels (0: automatic)"),
                QgsProcessingParameterNumber.Type.Integer,
                1,
                minValue=0,
                maxValue=6,
            ),
            QgsProcessingParameterExtent(EXTENT, tr("Only in this area"), optional=True),
            bands,
            advanced(QgsProcessingParameterString(MODEL, tr("Model"), "compact")),
            advanced(QgsProcessingParameterString(DEVICE, tr("Device (auto, cpu, cuda:0, ...)"), "auto")),
            advanced(QgsProcessingParameterBoolean(RESTART, tr("Begin anew"), False)),
            output,
        ):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputNumber(TILES, tr("Tiles indexed")))

    def work(self, parameters: Json, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> Json:
        """Index, and report what was left out."""
        report = self.ask("index", self._request(parameters, context), feedback)
        feedback.pushInfo(
            f"{report['tiles']:,} tiles in {report['seconds']:.0f} s ({report['tiles_per_s']:.0f} a second) "
            f"on {report['device']}; {report['empty']:,} without valid pixels."
        )
        for gap in report["unreadable"]:
            feedback.pushWarning(f"Not readable: {gap['window']} ({gap['reason']})")
        return {OUTPUT: report["index"], TILES: report["tiles"]}

    def _request(self, parameters: Json, context: QgsProcessingContext) -> Json:
        layer = checked(self.parameterAsRasterLayer(parameters, INPUT, context))
        request = {
            "source": source_of(layer),
            "overlap": self.parameterAsDouble(parameters, OVERLAP, context),
            "levels": self.parameterAsInt(parameters, LEVELS, context) or None,
            "model": self.parameterAsString(parameters, MODEL, context),
            "device": self.parameterAsString(parameters, DEVICE, context),
            "mode": "restart" if self.parameterAsBool(parameters, RESTART, context) else "auto",
            **area_of(self, parameters, EXTENT, context),
        }
        size = self.parameterAsDouble(parameters, TILE_SIZE, context)
        if size and self.parameterAsEnum(parameters, UNIT, context) == METRES:
            request["tile_m"] = size
        elif size:
            request["tile_px"] = round(size)
        bands = self.parameterAsInts(parameters, BANDS, context) or shown_bands(layer)
        out = self.parameterAsString(parameters, OUTPUT, context)
        return {**request, **({"bands": bands} if bands else {}), **({"out": out} if out else {})}
