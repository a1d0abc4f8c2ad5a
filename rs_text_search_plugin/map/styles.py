"""How matches and heat look: one colour-blind-safe ramp, readable on dark and on bright imagery."""

from __future__ import annotations

from typing import NamedTuple

from qgis.core import (
    QgsColorRampShader,
    QgsFeatureRequest,
    QgsFillSymbol,
    QgsGraduatedSymbolRenderer,
    QgsRasterLayer,
    QgsRasterShader,
    QgsRendererRange,
    QgsSimpleFillSymbolLayer,
    QgsSimpleLineSymbolLayer,
    QgsSingleBandPseudoColorRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor

from rs_text_search_plugin.contracts.scores import POSSIBLE, STRONG


class ScoreClass(NamedTuple):
    """A range of scores (from `low` on), what it is called and its colour."""

    low: float
    label: str
    colour: str


# Five steps of matplotlib's plasma (CC0): lightness rises with the score, so it also reads in grey.
CLASSES = (
    ScoreClass(0, "below 50: not claimed", "#6a00a8"),
    ScoreClass(POSSIBLE, "50 to 65: possible", "#b12a90"),
    ScoreClass(65, "65 to 80: possible", "#e16462"),
    ScoreClass(STRONG, "80 to 90: strong", "#fca636"),
    ScoreClass(90, "90 to 100: strong", "#f0f921"),
)
# (score, opacity 0-255): what is not claimed stays invisible.
HEAT_STOPS = ((0, 0), (35, 0), (POSSIBLE, 110), (65, 150), (STRONG, 180), (100, 200))


def score_colour(score: float) -> QColor:
    """Colour of the class that a score of 0-100 falls into."""
    return QColor(next(c.colour for c in reversed(CLASSES) if score >= c.low or c is CLASSES[0]))


def style_matches(layer: QgsVectorLayer) -> None:
    """Colour a polygon layer by its `score` field, best on top."""
    highs = [c.low for c in CLASSES[1:]] + [100.001]
    ranges = [
        QgsRendererRange(c.low, high, tile_symbol(QColor(c.colour)), c.label)
        for c, high in zip(CLASSES, highs)
    ]
    renderer = QgsGraduatedSymbolRenderer("score", ranges)
    renderer.setOrderBy(QgsFeatureRequest.OrderBy([QgsFeatureRequest.OrderByClause("score", True)]))
    renderer.setOrderByEnabled(True)
    layer.setRenderer(renderer)


def tile_symbol(colour: QColor) -> QgsFillSymbol:
    """A light fill framed white, dark, colour from outside in, so that one of them shows on any ground."""
    symbol = QgsFillSymbol()
    fill = QColor(colour)
    fill.setAlpha(18)
    symbol.changeSymbolLayer(
        0, QgsSimpleFillSymbolLayer(fill, Qt.BrushStyle.SolidPattern, fill, Qt.PenStyle.NoPen)
    )
    for line, width, inset in (
        ("#d0ffffff", 0.3, 0.15),
        ("#e0101010", 0.35, 0.45),
        (colour.name(), 0.6, 0.85),
    ):
        outline = QgsSimpleLineSymbolLayer(QColor(line), width)
        outline.setOffset(inset)
        outline.setPenJoinStyle(Qt.PenJoinStyle.MiterJoin)
        symbol.appendSymbolLayer(outline)
    return symbol


def style_heat(layer: QgsRasterLayer) -> None:
    """Colour a one-band raster of scores 0-100; low scores are transparent."""
    ramp = QgsColorRampShader(0, 100)
    ramp.setColorRampType(QgsColorRampShader.Type.Interpolated)
    items = []
    for score, opacity in HEAT_STOPS:
        colour = score_colour(score)
        colour.setAlpha(opacity)
        items.append(QgsColorRampShader.ColorRampItem(score, colour, f"{score}"))
    ramp.setColorRampItemList(items)
    shader = QgsRasterShader(0, 100)
    shader.setRasterShaderFunction(ramp)
    layer.setRenderer(QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader))
