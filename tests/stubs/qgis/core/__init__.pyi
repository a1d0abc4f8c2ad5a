# What `qgis-stubs` lacks for QGIS 3.22: exceptions, enumerations by their older names, and that an
# application and its project are always there.
from typing import Any

from qgis import _core

class QgsCsException(Exception): ...
class QgsProcessingException(Exception): ...

class Qgis(_core.Qgis):
    QGIS_VERSION: str

class QgsApplication(_core.QgsApplication):
    @staticmethod
    def processingRegistry() -> _core.QgsProcessingRegistry: ...
    @staticmethod
    def taskManager() -> _core.QgsTaskManager: ...
    @staticmethod
    def messageLog() -> _core.QgsMessageLog: ...

class QgsColorRampShader(_core.QgsColorRampShader):
    class Type(int):
        Interpolated: _core.Qgis.ShaderInterpolationMethod
        Discrete: _core.Qgis.ShaderInterpolationMethod

class QgsLayerTreeGroup(_core.QgsLayerTreeGroup):
    def addLayer(self, layer: _core.QgsMapLayer | None) -> _core.QgsLayerTreeLayer: ...
    def insertLayer(self, index: int, layer: _core.QgsMapLayer | None) -> _core.QgsLayerTreeLayer: ...
    def insertGroup(self, index: int, name: str | None) -> QgsLayerTreeGroup: ...
    def findGroup(self, name: str | None) -> QgsLayerTreeGroup | None: ...

class QgsLayerTree(QgsLayerTreeGroup): ...

class QgsMapLayerType(int):
    RasterLayer: _core.Qgis.LayerType
    VectorLayer: _core.Qgis.LayerType

class QgsNetworkAccessManager(_core.QgsNetworkAccessManager):
    @staticmethod
    def instance(connectionType: Any = ...) -> _core.QgsNetworkAccessManager: ...

class QgsProcessing(_core.QgsProcessing):
    class SourceType(int):
        TypeRaster: _core.Qgis.ProcessingSourceType
        TypeVector: _core.Qgis.ProcessingSourceType
        TypeVectorPolygon: _core.Qgis.ProcessingSourceType
        TypeFile: _core.Qgis.ProcessingSourceType

class QgsProject(_core.QgsProject):
    @staticmethod
    def instance() -> QgsProject: ...
    def layerTreeRoot(self) -> QgsLayerTree: ...

class QgsProviderRegistry(_core.QgsProviderRegistry):
    @staticmethod
    def instance(pluginPath: str | None = ...) -> _core.QgsProviderRegistry: ...

class QgsVectorLayer(_core.QgsVectorLayer):
    def dataProvider(self) -> _core.QgsVectorDataProvider: ...

class QgsWkbTypes(_core.QgsWkbTypes):
    class GeometryType(int):
        PolygonGeometry: _core.Qgis.GeometryType
        LineGeometry: _core.Qgis.GeometryType
        PointGeometry: _core.Qgis.GeometryType

    class Type(int):
        Polygon: _core.Qgis.WkbType
        MultiPolygon: _core.Qgis.WkbType
        NoGeometry: _core.Qgis.WkbType

from qgis._core import *  # last: a name stays what it became first
