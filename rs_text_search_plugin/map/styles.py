"""How matches and heat are drawn: one colour-blind-safe ramp, readable on dark and on bright imagery."""

from __future__ import annotations

from typing import NamedTuple, cast

from qgis.core import (
    QgsColorRampShader,
    QgsExpression,
    QgsFeatureRequest,
    QgsFillSymbol,
    QgsRasterLayer,
    QgsRasterShader,
    QgsRuleBasedRenderer,
    QgsSimpleFillSymbolLayer,
    QgsSimpleLineSymbolLayer,
    QgsSingleBandPseudoColorRenderer,
    QgsSymbol,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtGui import QColor

from rs_text_search_plugin.contracts.scores import POSSIBLE, STRONG
from rs_text_search_plugin.translation import mark, tr

SHOWN_RULE = "rs_text_search_shown"
"""Key of the rule that holds the filter; a layer without it has a style of the person's own."""

Rule = QgsRuleBasedRenderer.Rule


class ScoreClass(NamedTuple):
    """A range of scores (from `low` on), what it is called and its colour."""

    low: float
    label: str
    colour: str


# Five steps of matplotlib's plasma (CC0): lightness rises with the score, so it also reads in grey.
CLASSES = (
    ScoreClass(0, mark("below 50: not claimed"), "#6a00a8"),
    ScoreClass(POSSIBLE, mark("50 to 65: possible"), "#b12a90"),
    ScoreClass(65, mark("65 to 80: possible"), "#e16462"),
    ScoreClass(STRONG, mark("80 to 90: strong"), "#fca636"),
    ScoreClass(90, mark("90 to 100: strong"), "#f0f921"),
)
# (score, opacity 0-255): what is not claimed stays invisible.
HEAT_STOPS = ((0, 0), (35, 0), (POSSIBLE, 110), (65, 150), (STRONG, 180), (100, 200))
# Okabe and Ito's colour-blind-safe palette, less the yellow that the ramp above ends in.
HUES = ("#56b4e9", "#009e73", "#e69f00", "#cc79a7", "#0072b2", "#d55e00")
KEEP, DISCARD = "#00c853", "#9e9e9e"
ALL_MATCHES = 1_000_000  # more than any search returns


def score_colour(score: float) -> QColor:
    """Colour of the class that a score of 0-100 falls into."""
    return QColor(next(c.colour for c in reversed(CLASSES) if score >= c.low or c is CLASSES[0]))


def next_hue(taken: list[str]) -> str:
    """The hue that kept results use least, the first of HUES among equals."""
    return min(HUES, key=taken.count)


def style_matches(layer: QgsVectorLayer, hue: str = "") -> None:
    """Colour a polygon layer by its `score` field, or in one hue; verdicts show where it has that field."""
    judged = layer.fields().lookupField("verdict") >= 0
    shown = _all_shown()
    for rule in [*(hue_rules(hue) if hue else score_rules(judged)), *(verdict_rules() if judged else [])]:
        shown.appendChild(rule)
    _set_rules(layer, shown)


def style_phrases(layer: QgsVectorLayer) -> None:
    """Colour a classified polygon layer by its `phrase` field."""
    column = layer.fields().lookupField("phrase")
    phrases = sorted(filter(None, layer.uniqueValues(column))) if column >= 0 else []
    shown = _all_shown()
    for number, phrase in enumerate(phrases):
        colour = QColor(HUES[number % len(HUES)])
        equals = QgsExpression.createFieldEqualityExpression("phrase", phrase)
        shown.appendChild(_rule(tile_symbol(colour, 0.8), equals, phrase))
    _set_rules(layer, shown)


def show_scores(layer: QgsVectorLayer, min_score: float, top: int) -> None:
    """Draw only matches from `min_score` on and of rank `top` or better; a style of the person's own stays."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsRuleBasedRenderer) or _shown_rule(renderer) is None:
        return
    renderer = cast(QgsRuleBasedRenderer, renderer.clone())  # the map may be drawing with the one there is
    _show_only(cast(Rule, _shown_rule(renderer)), min_score, top)
    layer.setRenderer(renderer)
    _repaint_soon(layer)


def _all_shown() -> Rule:
    """The rule that holds the filter, which lets everything through."""
    shown = Rule(None)
    shown.setRuleKey(SHOWN_RULE)
    _show_only(shown, 0, ALL_MATCHES)
    return shown


def _show_only(rule: Rule, min_score: float, top: int) -> None:
    rule.setFilterExpression(f'"score" >= {min_score:g} AND "rank" <= {top:d}')
    best = tr(", best {top:,}").format(top=top) if top < ALL_MATCHES else ""
    rule.setLabel(tr("Score from {low:g}").format(low=min_score) + best)


def score_rules(judged: bool) -> list[Rule]:
    """One rule a class of scores; what the person discarded has a rule of its own."""
    undecided = " AND coalesce(\"verdict\", '') <> 'discard'" if judged else ""
    highs = [c.low for c in CLASSES[1:]] + [100.001]
    return [
        _rule(
            tile_symbol(QColor(c.colour)),
            f'"score" >= {c.low:g} AND "score" < {high:g}{undecided}',
            tr(c.label),
        )
        for c, high in zip(CLASSES, highs)
    ]


def hue_rules(hue: str) -> list[Rule]:
    """Strong matches in a bold line, possible ones in a thin one, of one hue."""
    strong, possible = tile_symbol(QColor(hue), 0.8), tile_symbol(QColor(hue), 0.4)
    return [
        _rule(strong, f'"score" >= {STRONG}', tr("strong")),
        _rule(possible, f'"score" < {STRONG}', tr("possible")),
    ]


def verdict_rules() -> list[Rule]:
    """Kept and discarded matches of a review, drawn over the others."""
    return [
        _rule(_line(KEEP, 0.9, Qt.PenStyle.DashLine), "\"verdict\" = 'keep'", tr("reviewed: kept")),
        _rule(_line(DISCARD, 0.5, Qt.PenStyle.DotLine), "\"verdict\" = 'discard'", tr("reviewed: discarded")),
    ]


def tile_symbol(colour: QColor, width: float = 0.6) -> QgsFillSymbol:
    """A light fill framed white, dark, colour from outside in, so that one of them shows on any ground."""
    symbol = QgsFillSymbol()
    fill = QColor(colour)
    fill.setAlpha(18)
    symbol.changeSymbolLayer(
        0, QgsSimpleFillSymbolLayer(fill, Qt.BrushStyle.SolidPattern, fill, Qt.PenStyle.NoPen)
    )
    for line, mm, inset in (
        ("#d0ffffff", 0.3, 0.15),
        ("#e0101010", 0.35, 0.45),
        (colour.name(), width, 0.55 + width / 2),
    ):
        outline = QgsSimpleLineSymbolLayer(QColor(line), mm)
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


def _shown_rule(renderer: QgsRuleBasedRenderer) -> Rule | None:
    return cast(Rule, renderer.rootRule()).findRuleByKey(SHOWN_RULE)


def _repaint_soon(layer: QgsVectorLayer) -> None:
    """After the events that wait: QGIS would keep the picture of a drawing that has just ended, in the old style."""
    timer = QTimer(layer)
    timer.setSingleShot(True)
    timer.timeout.connect(layer.triggerRepaint)
    timer.timeout.connect(timer.deleteLater)
    timer.start(0)


def _rule(symbol: QgsSymbol, expression: str, label: str) -> Rule:
    return Rule(symbol, filterExp=expression, label=label)


def _line(colour: str, width: float, style: Qt.PenStyle) -> QgsFillSymbol:
    """An outline of `width` mm inside the frame of `tile_symbol`."""
    line = QgsSimpleLineSymbolLayer(QColor(colour), width, style)
    line.setOffset(1.6)
    symbol = QgsFillSymbol()
    symbol.changeSymbolLayer(0, line)
    return symbol


def _set_rules(layer: QgsVectorLayer, shown: Rule) -> None:
    """Best matches are drawn last, so that they lie on top."""
    root = Rule(None)
    root.appendChild(shown)
    renderer = QgsRuleBasedRenderer(root)
    renderer.setOrderBy(QgsFeatureRequest.OrderBy([QgsFeatureRequest.OrderByClause("score", True)]))
    renderer.setOrderByEnabled(True)
    layer.setRenderer(renderer)
