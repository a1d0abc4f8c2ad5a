"""The group “Text search” in the layer tree, and the layers in the project that are ours."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsLayerTreeGroup, QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer

GROUP = "Text search"
RESULT_PROPERTY = "rs_text_search/result"
"""Marks our layers with the table of their result, so that heat is not offered for indexing."""


def group() -> QgsLayerTreeGroup:
    """The group, on top of the layer tree; made where there is none."""
    root = QgsProject.instance().layerTreeRoot()
    found = root.findGroup(GROUP)
    if found is None:
        found = root.insertGroup(0, GROUP)
        found.setExpanded(False)  # an empty group cannot be shown open; see `add_matches`
    return found


def add_matches(layer: QgsVectorLayer) -> None:
    """Put a layer of matches on top of the group."""
    QgsProject.instance().addMapLayer(layer, False)
    group().insertLayer(0, layer)
    group().setExpanded(True)


def add_heat(layer: QgsRasterLayer) -> None:
    """Put a heat raster below all matches."""
    QgsProject.instance().addMapLayer(layer, False)
    group().addLayer(layer).setExpanded(False)


def remove_layers(layers: Sequence[QgsMapLayer]) -> None:
    """Remove layers from the project, and the group when it is empty then."""
    QgsProject.instance().removeMapLayers([layer.id() for layer in layers])
    found = QgsProject.instance().layerTreeRoot().findGroup(GROUP)
    parent = found.parent() if found is not None and not found.children() else None
    if isinstance(parent, QgsLayerTreeGroup):
        parent.removeChildNode(found)


def result_layers(table: str | None = None) -> list[QgsMapLayer]:
    """Our layers in the project: all, or those of one result."""
    layers = QgsProject.instance().mapLayers().values()
    marked = [layer for layer in layers if layer.customProperty(RESULT_PROPERTY)]
    return [layer for layer in marked if table in (None, layer.customProperty(RESULT_PROPERTY))]


def matches_layer(table: str) -> QgsVectorLayer | None:
    """The layer that shows the matches of a result, None when the person removed it."""
    found = (layer for layer in result_layers(table) if isinstance(layer, QgsVectorLayer))
    return next(found, None)


def heat_layers(table: str) -> list[QgsRasterLayer]:
    """The layers that show the heat of a result."""
    return [layer for layer in result_layers(table) if isinstance(layer, QgsRasterLayer)]


def is_visible(layer: QgsMapLayer) -> bool:
    """Whether a layer and the groups around it are switched on in the layer tree."""
    node = QgsProject.instance().layerTreeRoot().findLayer(layer.id())
    return node is not None and node.isVisible()


def set_visible(layer: QgsMapLayer, visible: bool) -> None:
    """Switch a layer on or off in the layer tree, and on with the groups around it."""
    node = QgsProject.instance().layerTreeRoot().findLayer(layer.id())
    if node is not None and visible:
        node.setItemVisibilityCheckedParentRecursive(True)
    elif node is not None:
        node.setItemVisibilityChecked(False)
