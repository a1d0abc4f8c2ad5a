"""“Point at it”: where inside their tiles the best matches lie, asked of the engine and drawn on the map."""

from __future__ import annotations

from typing import Any

from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, pyqtSignal

from rs_text_search_plugin.engine_process.client import EngineClient, EngineError
from rs_text_search_plugin.map.pointer_marks import PointerMarks
from rs_text_search_plugin.translation import tr, tr_count

from .results_panel import ResultsPanel

Json = dict[str, Any]
MOST = 12
"""Of the matches shown so many are pointed at, the best first."""
SECONDS = 20
"""After so long no further one is begun."""


class Pointing(QObject):
    """Follows the panel's result: its marks go when another result comes."""

    failed = pyqtSignal(EngineError)

    def __init__(self, engine: EngineClient, canvas: QgsMapCanvas, results: ResultsPanel) -> None:
        super().__init__(results)
        self.engine, self.results = engine, results
        self.marks = PointerMarks(canvas)
        results.point_wanted.connect(self._ask)
        results.result_changed.connect(self._reset)

    def detach(self) -> None:
        """Take the marks off the map."""
        self.marks.clear()

    def _ask(self, wanted: bool) -> None:
        self.marks.clear()
        name = self.results.result.get("result")
        if not wanted or not name:
            return
        self.results.show_note(tr("Reading the best places again ..."))
        shown = len(self.results.shown_matches())
        request = {"result": name, "top": min(shown, MOST) or MOST, "seconds": SECONDS}
        self.engine.request("zoom", request, lambda answer: self._show(name, answer), self._fail)

    def _show(self, name: str, answer: Json) -> None:
        if name != self.results.result.get("result") or not self.results.point_button.isChecked():
            return
        crs = {source["index"]: source["crs"] for source in self.results.result["sources"]}
        self.marks.show((point, crs[point["index"]]) for point in answer["points"])
        places = tr_count("%n place", "%n places", len(answer["points"]))
        notes = [tr("Pointed at {}, the best first.").format(places), *answer["unread"]]
        self.results.show_note(" ".join(notes))

    def _fail(self, error: EngineError) -> None:
        self.results.show_pointing(False)
        self.results.show_note("")
        self.failed.emit(error)

    def _reset(self) -> None:
        self.marks.clear()
        self.results.show_pointing(False)
