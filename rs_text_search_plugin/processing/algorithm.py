"""What the algorithms share: the engine, rasters, indexes and areas as parameters, and Processing's errors.

No GUI is imported here or in any algorithm, so that they run in `qgis_process` and on worker threads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsRasterLayer,
)
from qgis.PyQt.QtGui import QIcon

from rs_text_search_plugin.assets import icon
from rs_text_search_plugin.engine_process.client import EngineClient, EngineError, Json
from rs_text_search_plugin.engine_process.environment import find_python
from rs_text_search_plugin.map.raster_source import source_of
from rs_text_search_plugin.map.tile_geometry import wkt2_of
from rs_text_search_plugin.translation import mark, tr

MISSING = mark(
    "The search engine is not set up. Open the Text Search panel and press “Set up engine”, "
    "or point the variable RS_TEXT_SEARCH_PYTHON at a Python that has its packages."
)
RASTERS = "RASTERS"
INDEX = "INDEX"


class EngineAlgorithm(QgsProcessingAlgorithm):
    """An algorithm whose work the engine does."""

    NAME = ""
    TITLE = ""
    ICON = "icon"
    HELP = ""
    DRAWS = True
    """Whether its output has geometry; a table has none."""

    def name(self) -> str:
        return self.NAME

    def displayName(self) -> str:  # noqa: N802 - QGIS's names, here and below
        return tr(self.TITLE)

    def shortHelpString(self) -> str:  # noqa: N802
        return tr(self.HELP)

    def icon(self) -> QIcon:
        return icon(self.ICON)

    def createInstance(self) -> EngineAlgorithm:  # noqa: N802
        return type(self)()

    def canExecute(self) -> tuple[bool, str]:  # noqa: N802
        """Whether there is a Python to run the engine with."""
        return (True, "") if find_python() else (False, tr(MISSING))

    def processAlgorithm(  # noqa: N802
        self, parameters: Json, context: QgsProcessingContext, feedback: QgsProcessingFeedback | None
    ) -> Json:
        """What QGIS calls, perhaps without somebody who listens."""
        return self.work(parameters, context, feedback or QgsProcessingFeedback())

    def work(self, parameters: Json, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> Json:
        """Do what the algorithm is for; returns its outputs. Raises: QgsProcessingException."""
        raise NotImplementedError

    def ask(self, op: str, args: Json, feedback: QgsProcessingFeedback) -> Json:
        """One operation on an engine of its own, with progress and cancel. Raises: QgsProcessingException."""
        return self.ask_all(op, [args], feedback)[0]

    def ask_all(self, op: str, requests: list[Json], feedback: QgsProcessingFeedback) -> list[Json]:
        """The same for several requests, one after the other on one engine."""
        python = find_python()
        if python is None:
            raise QgsProcessingException(tr(MISSING))
        client = EngineClient()
        client.start(python.path)

        def show(news: Json) -> None:
            feedback.setProgress(100 * news["done"] / max(1, news["total"]))
            feedback.setProgressText(news["message"])

        try:
            return [client.call(op, args, feedback.isCanceled, show) for args in requests]
        except EngineError as error:
            if error.details:
                feedback.pushDebugInfo(error.details)
            raise QgsProcessingException(str(error)) from error
        finally:
            client.stop()


def checked(layer: QgsMapLayer | None) -> QgsRasterLayer:
    """The layer. Raises: QgsProcessingException for what GDAL does not read."""
    if not isinstance(layer, QgsRasterLayer) or layer.providerType() != "gdal":
        raise QgsProcessingException("Only rasters that GDAL reads as a file or address can be searched.")
    return layer


def index_parameters() -> list[QgsProcessingParameterDefinition]:
    """Indexes by the rasters that have one, or by their folder."""
    rasters = QgsProcessingParameterMultipleLayers(
        RASTERS, tr("Indexed rasters"), QgsProcessing.SourceType.TypeRaster, optional=True
    )
    folder = QgsProcessingParameterFile(
        INDEX, tr("or an index folder"), QgsProcessingParameterFile.Behavior.Folder, optional=True
    )
    return [rasters, folder]


def indexes_of(algorithm: EngineAlgorithm, parameters: Json, context: QgsProcessingContext) -> list[str]:
    """What `index_parameters` were given: rasters and index folders. Raises: QgsProcessingException."""
    layers = algorithm.parameterAsLayerList(parameters, RASTERS, context)
    folder = algorithm.parameterAsString(parameters, INDEX, context)
    found = [source_of(checked(layer)) for layer in layers]
    if folder:
        found.append(str(Path(folder)))
    if not found:
        raise QgsProcessingException("Nothing to search in: choose an indexed raster or an index folder.")
    return found


def area_of(algorithm: EngineAlgorithm, parameters: Json, name: str, context: QgsProcessingContext) -> Json:
    """An extent parameter as `area` and `area_crs` of a request; nothing when it is not set."""
    box = algorithm.parameterAsExtent(parameters, name, context)
    if box.isEmpty():
        return {}
    crs = algorithm.parameterAsExtentCrs(parameters, name, context)
    ring = [[box.xMinimum(), box.yMinimum()], [box.xMaximum(), box.yMinimum()]]
    ring += [[box.xMaximum(), box.yMaximum()], [box.xMinimum(), box.yMaximum()], ring[0]]
    area: dict[str, Any] = {"area": {"type": "Polygon", "coordinates": [ring]}}
    return {**area, "area_crs": wkt2_of(crs)} if crs.isValid() else area


def advanced(parameter: QgsProcessingParameterDefinition) -> QgsProcessingParameterDefinition:
    """The parameter, shown among the advanced ones."""
    flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced  # type: ignore[attr-defined]  # a later name in the stubs
    parameter.setFlags(parameter.flags() | flag)
    return parameter


def decimals(places: int, parameter: QgsProcessingParameterNumber) -> QgsProcessingParameterNumber:
    """The number, shown with so many decimal places; QGIS shows six."""
    parameter.setMetadata({"widget_wrapper": {"decimals": places}})
    return parameter
