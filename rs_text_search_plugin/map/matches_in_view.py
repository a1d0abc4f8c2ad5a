"""How many matches the map shows; where none is in view, how many lie where, each a link that goes there."""

from __future__ import annotations

from math import atan2, pi

from qgis.core import QgsPointXY, QgsRectangle
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtWidgets import QLabel, QWidget

from rs_text_search_plugin.results_store.stored_result import Json
from rs_text_search_plugin.translation import tr

from .tile_geometry import crs_from, tile_geometry

ALL = "all"
MARGIN = 1.2  # what is zoomed to fills 1 / MARGIN of the map
DIRECTIONS_SHOWN = 3


def direction_names() -> list[str]:
    """Eight directions, counter-clockwise from the east."""
    names = tr("east,north-east,north,north-west,west,south-west,south,south-east")
    return names.split(",")


def direction_of(centre: QgsPointXY, point: QgsPointXY) -> int:
    """Number of the direction (see `direction_names`) in which a point lies."""
    turn = atan2(point.y() - centre.y(), point.x() - centre.x()) / (2 * pi)
    return round(turn * 8) % 8


class MatchesInView(QLabel):
    """Follows the map until `detach`; `show_matches` gives it the matches that pass the filter."""

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = canvas
        self._sources: dict[str, str | None] = {}
        self._matches: list[Json] = []
        self._boxes: list[QgsRectangle] = []
        self.setWordWrap(True)
        self.setAccessibleName(tr("Matches in view"))
        self.linkActivated.connect(self.go)
        canvas.extentsChanged.connect(self._update)
        canvas.destinationCrsChanged.connect(self._place)
        self.hide()

    def detach(self) -> None:
        """Let go of the map."""
        self.canvas.extentsChanged.disconnect(self._update)
        self.canvas.destinationCrsChanged.disconnect(self._place)

    def show_matches(self, result: Json, matches: list[Json]) -> None:
        """Count these matches of a result."""
        self._sources = {source["index"]: source["crs"] for source in result.get("sources", [])}
        self._matches = matches
        self._place()

    def go(self, link: str) -> None:
        """Zoom to all matches, or to those in one direction."""
        boxes = self._boxes if link == ALL else self._outside().get(int(link), [])
        if boxes:
            extent = QgsRectangle()
            for box in boxes:
                extent.combineExtentWith(box)
            extent.scale(MARGIN)
            self.canvas.setExtent(extent)
            self.canvas.refresh()

    def _place(self) -> None:
        """Bring the matches into the map's CRS."""
        target = self.canvas.mapSettings().destinationCrs()
        shapes = [
            tile_geometry(match["corners"], crs_from(self._sources.get(match["index"])), target)
            for match in self._matches
        ]
        self._boxes = [shape.boundingBox() for shape in shapes if shape is not None]
        self._update()

    def _update(self) -> None:
        view = self.canvas.extent()
        inside = sum(view.intersects(box) for box in self._boxes)
        self.setVisible(bool(self._boxes) and inside < len(self._boxes))
        if self._boxes:
            self.setText(self._nowhere() if not inside else self._some(inside))

    def _some(self, inside: int) -> str:
        text = tr("{inside:,} of {all:,} matches in view.").format(inside=inside, all=len(self._boxes))
        return f"{text} {link(ALL, tr('Zoom to matches'))}"

    def _nowhere(self) -> str:
        names, groups = direction_names(), self._outside()
        largest = sorted(groups, key=lambda number: -len(groups[number]))[:DIRECTIONS_SHOWN]
        where = ", ".join(link(str(number), f"{len(groups[number]):,} {names[number]}") for number in largest)
        return tr("No match in view: {where}. {all}").format(
            where=where, all=link(ALL, tr("Zoom to matches"))
        )

    def _outside(self) -> dict[int, list[QgsRectangle]]:
        """Direction from the middle of the map -> the matches there."""
        groups: dict[int, list[QgsRectangle]] = {}
        for box in self._boxes:
            groups.setdefault(direction_of(self.canvas.center(), box.center()), []).append(box)
        return groups


def link(target: str, text: str) -> str:
    """A link in rich text; `text` is our own."""
    return f"<a href='{target}'>{text}</a>"
