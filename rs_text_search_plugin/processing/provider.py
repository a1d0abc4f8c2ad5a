"""The provider under which the algorithms stand in the Processing toolbox and in `qgis_process`."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from rs_text_search_plugin.assets import icon

from .change import ChangeAlgorithm
from .classify import ClassifyAlgorithm
from .contents import ContentsAlgorithm
from .describe import DescribeAlgorithm
from .export import ExportAlgorithm
from .index import IndexAlgorithm
from .search import SearchAlgorithm

ALGORITHMS = (
    IndexAlgorithm,
    SearchAlgorithm,
    ClassifyAlgorithm,
    DescribeAlgorithm,
    ExportAlgorithm,
    ContentsAlgorithm,
    ChangeAlgorithm,
)


class SearchProvider(QgsProcessingProvider):
    """rs_text_search: index, search, classify, describe, export, contents, change."""

    def id(self) -> str:
        return "rs_text_search"

    def name(self) -> str:
        return "RS Text Search"

    def icon(self) -> QIcon:
        return icon("icon")

    def loadAlgorithms(self) -> None:  # noqa: N802 - QGIS's name
        """Register one instance each; QGIS copies them by `createInstance`."""
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())
