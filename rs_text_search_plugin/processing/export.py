"""Export matches to a file to give away."""

from __future__ import annotations

from qgis.core import (
    QgsFeature,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFileDestination,
)

from rs_text_search_plugin.engine_process.client import Json
from rs_text_search_plugin.translation import mark, tr

from .algorithm import EngineAlgorithm
from .search import FIELDS

INPUT = "INPUT"
OUTPUT = "OUTPUT"
FEATURES = "FEATURES"
FORMATS = (
    "ESRI Shapefile (*.shp);;GeoPackage (*.gpkg);;GeoJSON (*.geojson);;FlatGeobuf (*.fgb);;"
    "GeoParquet (*.parquet)"
)


class ExportAlgorithm(EngineAlgorithm):
    """Writes a layer of matches as the panel's export does."""

    NAME = "export"
    TITLE = mark("Export matches")
    ICON = "export"
    HELP = mark(
        "Writes matches of “Search rasters with words” to a shapefile, GeoPackage, GeoJSON, FlatGeobuf or "
        "GeoParquet file; the ending of the file's name decides.\n\n"
        "The table has rank, score, query, model, raster, tile_id and region. Field names fit a shapefile; "
        "text too long for one is shortened with a warning. Select or filter matches first to export fewer."
    )

    def initAlgorithm(self, configuration: Json | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        polygons = [QgsProcessing.SourceType.TypeVectorPolygon]
        self.addParameter(QgsProcessingParameterFeatureSource(INPUT, tr("Matches"), polygons))
        self.addParameter(QgsProcessingParameterFileDestination(OUTPUT, tr("File"), FORMATS))
        self.addOutput(QgsProcessingOutputNumber(FEATURES, tr("Footprints written")))

    def work(self, parameters: Json, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> Json:
        """Export, and pass warnings on."""
        source = self.parameterAsSource(parameters, INPUT, context)
        if source is None:
            raise QgsProcessingException(self.invalidSourceError(parameters, INPUT))
        path = self.parameterAsFileOutput(parameters, OUTPUT, context)
        features = list(matches_in(source))
        request = {
            "path": path,
            "query": features[0]["query"],
            "model": features[0]["model"],
            "matches": [export_row(feature) for feature in features],
        }
        report = self.ask("export", request, feedback)
        for warning in report["warnings"]:
            feedback.pushWarning(warning)
        feedback.pushInfo(f"{report['features']:,} footprints in {', '.join(report['files'])}")
        return {OUTPUT: path, FEATURES: report["features"]}


def matches_in(source: QgsProcessingFeatureSource) -> list[QgsFeature]:
    """The features, best first. Raises: QgsProcessingException when they are not matches."""
    missing = [name for name, _ in FIELDS if source.fields().lookupField(name) < 0]
    if missing:
        hint = "Make it with “Search rasters with words”."
        raise QgsProcessingException(f"This layer holds no matches: {', '.join(missing)} missing. {hint}")
    features = sorted(source.getFeatures(), key=lambda feature: feature["rank"])
    if not features:
        raise QgsProcessingException("There are no matches to export. Lower the lowest score of the search.")
    return features


def export_row(feature: QgsFeature) -> Json:
    """A match as `export` takes it: the engine knows the tile's footprint."""
    return {
        "id": feature["tile_id"],
        **{name: feature[name] for name in ("index", "rank", "score", "region")},
    }
