"""What the engine needs to know of a raster layer. No GUI: Processing uses it too."""

from __future__ import annotations

from qgis.core import QgsMultiBandColorRenderer, QgsProviderRegistry, QgsRasterLayer


def source_of(layer: QgsRasterLayer) -> str:
    """The file or address behind a layer of the gdal provider; its whole URI for one of several inside a file."""
    parts = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
    plain = parts.get("path") and not parts.get("layerName")
    return str(parts["path"]) if plain else layer.source()


def shown_bands(layer: QgsRasterLayer) -> list[int]:
    """Bands a multi-band renderer shows as red, green, blue; empty for any other renderer."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsMultiBandColorRenderer):
        return []
    bands = [renderer.redBand(), renderer.greenBand(), renderer.blueBand()]
    return bands if min(bands) > 0 else []
