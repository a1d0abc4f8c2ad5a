"""What the panel holds, as it is saved with a project and put back when the project is opened again."""

from __future__ import annotations

from dataclasses import dataclass, field

from rs_text_search_plugin.engine_process.client import Json
from rs_text_search_plugin.map.area_control import AreaControl
from rs_text_search_plugin.map.search_area import AreaKind

from .query_bar import QueryBar
from .rasters.raster_list import RasterList
from .results.results_panel import ResultsPanel


@dataclass
class PanelSession:
    """Reads and writes the parts of the panel; searches nothing."""

    bar: QueryBar
    rasters: RasterList
    results: ResultsPanel
    area: AreaControl
    searched: set[tuple[str, int, int]] = field(default_factory=set)
    """What the result on screen was made from; see `Raster.stamp`."""

    def written(self, index: str) -> int:
        """When an index that was searched had been made, ns; 0 while it was unfinished."""
        return next((written for folder, written, _ in self.searched if folder == index), 0)

    def save(self) -> Json:
        """Query, examples, unticked rasters, threshold, count, heat and area; JSON all the way down."""
        low, top = self.results.filter_values()
        return {
            "query": self.bar.query(),
            "unticked": sorted(self.rasters.unticked()),
            "min_score": low,
            "top": top,
            "heat": self.results.heat_button.isChecked(),
            "area": self.area.session(),
            "searched": sorted(map(list, self.searched)),
        }

    def restore(self, saved: Json) -> None:
        """Put back what `save` gave; an empty one clears query and area and leaves the rest."""
        self.bar.show_query(saved.get("query", {}))
        self.area.restore(saved.get("area", {"kind": AreaKind.WHOLE.value}))
        if saved:
            self.searched = {(index, written, tiles) for index, written, tiles in saved["searched"]}
            self.rasters.untick(set(saved["unticked"]))
            self.results.show_filter(saved["min_score"], saved["top"])
            self.results.show_heat(saved["heat"])
