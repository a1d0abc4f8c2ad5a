"""The search panel: collects a query, shows the matches; the one place where engine errors reach a person."""

from __future__ import annotations

from pathlib import Path

from qgis.core import Qgis, QgsCoordinateReferenceSystem, QgsPointXY
from qgis.gui import QgisInterface, QgsDockWidget
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import QFileDialog, QStackedWidget, QVBoxLayout, QWidget

from rs_text_search_plugin.contracts.operations.search import export_row
from rs_text_search_plugin.engine_process.client import EngineClient, EngineError, Json
from rs_text_search_plugin.gui.rasters.raster_panel import RasterPanel
from rs_text_search_plugin.gui.results.match_gallery import ASKED
from rs_text_search_plugin.gui.results.results_panel import FETCHED, ResultsPanel
from rs_text_search_plugin.map.result_layers import ResultLayers
from rs_text_search_plugin.map.tile_geometry import wkt2_of

from .description_panel import DescriptionPanel
from .engine_control import EngineControl
from .live_search import LiveSearch
from .models_dialog import ModelsDialog
from .query_bar import Example, QueryBar
from .wording import count

FORMATS = "GeoPackage (*.gpkg);;ESRI Shapefile (*.shp);;GeoJSON (*.geojson);;FlatGeobuf (*.fgb)"
WIDTH = 300  # px, enough for three thumbnails in a row


class SearchDock(QgsDockWidget):
    """Panel of the plugin. `close_down` must be called before it is thrown away."""

    def __init__(self, iface: QgisInterface, engine: EngineClient) -> None:
        super().__init__("Text Search", iface.mainWindow())
        self.setObjectName("RsTextSearchDock")
        self.iface = iface
        self.engine = engine
        self.layers = ResultLayers(iface.mapCanvas())
        self.live = LiveSearch(engine, self)
        self._build()
        self._connect()

    def close_down(self) -> None:
        """Let go of the project, the map and the engine's signals, and ask the engine nothing more."""
        self.live.drop()
        self.models.close()
        self.bar.clear()
        self.results.show_result({}, {})
        self.control.detach()
        self.rasters.detach()
        self.layers.highlight.clear()

    # ---- what others ask of the panel ----

    def index_layer(self, layer_id: str) -> None:
        """Index one layer with the settings in the panel."""
        self.setUserVisible(True)
        raster = self.rasters.list.raster(layer_id)
        if raster is None or raster.reason:
            self.warn("This layer cannot be indexed.", raster.reason if raster else "")
        elif not self.engine.is_ready():
            self.warn("The search engine is not running yet.", "The Text Search panel says what to do.")
        else:
            self.rasters.index_layer(layer_id)

    def describe_at(self, point: QgsPointXY, crs: QgsCoordinateReferenceSystem) -> None:
        """Describe the tile at a point of the map."""
        self._describe(self._place(point, crs))

    def example_at(
        self, point: QgsPointXY, crs: QgsCoordinateReferenceSystem, wanted: bool, alone: bool = False
    ) -> None:
        """Take the tile at a point as an example; `alone` searches for nothing else."""

        def take(found: Json) -> None:
            if found["tiles"]:
                self._add_example(found["tiles"][0], wanted, alone)
            else:
                self.warn("No indexed tile covers this place.")

        self.setUserVisible(True)
        self.engine.request("locate", self._place(point, crs), take, self.show_error)

    # ---- messages ----

    def show_error(self, error: EngineError) -> None:
        """Tell the person what happened and what to do."""
        if error.kind == "Cancelled":
            self.inform(error.message, error.hint)
        else:
            self.warn(error.message, error.hint)

    def warn(self, message: str, hint: str = "") -> None:
        """Put a warning in QGIS's message bar."""
        self.iface.messageBar().pushMessage(f"{message} {hint}".strip(), Qgis.MessageLevel.Warning, 12)

    def inform(self, message: str, detail: str = "") -> None:
        """Put news in QGIS's message bar."""
        self.iface.messageBar().pushMessage(f"{message} {detail}".strip(), Qgis.MessageLevel.Info, 8)

    # ---- searching ----

    def search(self) -> None:
        """Search with what the panel says, dropping the search before."""
        self.live.drop()
        query, indexes = self.bar.query(), self.rasters.indexes()
        if not query:
            return
        if not indexes:
            self.results.say(self.rasters.why_none())
            return
        if self.rasters.queue.running():
            self.results.say("The search starts when indexing is done.")
        how = {"indexes": indexes, "top": FETCHED, "heat": self.results.heat_button.isChecked()}
        self.live.start({**how, **query}, self.bar.rerank.isChecked())

    def clear(self) -> None:
        """Forget the query and take everything off the map."""
        self.live.drop()
        self.bar.clear()
        self.description.dismiss()
        self.results.show_result({}, {})
        self.layers.clear()
        self._rasters_known()

    def _search_failed(self, error: EngineError) -> None:
        self.layers.clear()
        self.results.show_result({}, {})
        self.results.say(str(error))
        self.show_error(error)

    def _not_reranked(self, error: EngineError) -> None:
        self.results.say(self.results.result["verdict"])
        self.show_error(error)

    def _found(self, result: Json) -> None:
        self.layers.show_matches(result)
        self.layers.show_heat(result.get("heat") or [])
        self.results.show_result(result, self.rasters.names())

    def _heat(self, shown: bool) -> None:
        if shown:
            self.search()
        else:
            self.layers.clear_heat()

    def _rerank(self, wanted: bool) -> None:
        model = self.models.reranker()
        if wanted and not model.get("installed"):
            self.bar.show_rerank(False)
            self.models.open_at(model.get("name", ""))
        else:
            self.search()

    def _add_example(self, tile: Json, wanted: bool, alone: bool = False) -> None:
        self.bar.add_example(Example(tile["index"], tile["id"], wanted), alone=alone)

    def _rasters_known(self) -> None:
        """Say what is missing for a search, or search with what has been typed meanwhile."""
        if not self.rasters.list.rasters:
            self.results.say("Add a raster layer to the project to search it.")
        elif not self.rasters.indexes():
            self.results.say("Index a raster once, then search it with words.")
        elif not self.results.result:
            self.results.say("")
            self.search()

    # ---- matches and tiles ----

    def _fly_to(self, match: Json) -> None:
        sources = self.results.result["sources"]
        crs = next(source["crs"] for source in sources if source["index"] == match["index"])
        self.layers.highlight.go_to(match["corners"], crs)

    def _ask_pictures(self, index: str, tiles: list[int]) -> None:
        def take(answer: Json) -> None:
            self.results.gallery.matches.add_pictures(index, tiles, answer["paths"])

        self.engine.request(
            "thumbnails", {"index": index, "ids": tiles, "size": ASKED}, take, self.show_error
        )

    def _describe_match(self, match: Json) -> None:
        self._describe({"indexes": [match["index"]], "index": match["index"], "id": match["id"]})

    def _describe(self, place: Json) -> None:
        self.setUserVisible(True)
        self.description.show_waiting()
        self.engine.request("describe", place, self._show_description, self._not_described)

    def _show_description(self, described: Json) -> None:
        self.layers.highlight.outline(described["corners"], described["crs"])
        self.description.show_description(described, self.rasters.names().get(described["index"], ""))

    def _not_described(self, error: EngineError) -> None:
        self.description.dismiss()
        self.show_error(error)

    def _place(self, point: QgsPointXY, crs: QgsCoordinateReferenceSystem) -> Json:
        where = {"crs": wkt2_of(crs)} if crs.isValid() else {}
        return {"indexes": self.rasters.indexes(), "x": point.x(), "y": point.y(), **where}

    def _export(self) -> None:
        path, chosen = QFileDialog.getSaveFileName(self, "Export the matches shown", "matches.gpkg", FORMATS)
        if path:
            suffix = chosen.partition("*")[2].rstrip(")")
            self.export_to(path if Path(path).suffix else path + suffix)

    def export_to(self, path: str) -> None:
        """Save the matches that pass the filter; the format follows from the name's ending."""
        result = self.results.result
        known = {"path": path, "query": result["query"], "model": result["model"]}
        rows = [export_row(match) for match in self.results.shown_matches()]
        self.engine.request("export", {**known, "matches": rows}, self._exported, self.show_error)

    def _exported(self, report: Json) -> None:
        self.inform(f"{count(report['features'], 'match')} saved.", report["path"])
        for warning in report["warnings"]:
            self.warn("About the export:", warning)

    # ---- widgets ----

    def _build(self) -> None:
        self.bar = QueryBar(self)
        self.rasters = RasterPanel(self.engine, self)
        self.description = DescriptionPanel(self)
        self.results = ResultsPanel(self)
        self.control = EngineControl(self.engine, self)
        self.models = ModelsDialog(self.engine, self)
        page = QWidget(self)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.bar, self.rasters, self.description):
            column.addWidget(widget)
        column.addWidget(self.results, 1)
        self.pages = QStackedWidget(self)
        self.pages.addWidget(self.control.page)
        self.pages.addWidget(page)
        body = QWidget(self)
        body.setMinimumWidth(WIDTH)
        whole = QVBoxLayout(body)
        whole.setContentsMargins(6, 6, 6, 4)
        whole.addWidget(self.pages, 1)
        whole.addWidget(self.control.footer)
        self.setWidget(body)
        self.setFocusProxy(self.bar.text)

    def _connect(self) -> None:
        self.control.ready.connect(self._engine_ready)
        self.control.gone.connect(self._engine_gone)
        self.control.complained.connect(self.warn)
        self.control.models_wanted.connect(self.models.open_at)
        self.models.known.connect(self._models_known)
        self.models.failed.connect(self.show_error)
        self.live.found.connect(self._found)
        self.live.failed.connect(self._search_failed)
        self.live.kept.connect(self._not_reranked)
        self.live.said.connect(self.results.say)
        self.rasters.indexing.models_wanted.connect(self.models.open_at)
        self.rasters.refreshed.connect(self._rasters_known)
        self.rasters.indexed.connect(self.inform)
        self.rasters.failed.connect(self.show_error)
        self.bar.typed.connect(self.search)
        self.bar.submitted.connect(self.search)
        self.bar.rerank_switched.connect(self._rerank)
        self.description.closed.connect(self.layers.highlight.clear)
        self.description.example_added.connect(self._add_example)
        self.results.filtered.connect(self.layers.filter)
        self.results.export_wanted.connect(self._export)
        self.results.heat_wanted.connect(self._heat)
        self.results.clear_wanted.connect(self.clear)
        self.results.gallery.pictures_wanted.connect(self._ask_pictures)
        self.results.gallery.shown.connect(self._fly_to)
        self.results.gallery.described.connect(self._describe_match)
        self.results.gallery.example_added.connect(self._add_example)

    def _engine_ready(self) -> None:
        self.pages.setCurrentIndex(1)
        self.models.refresh()

    def _models_known(self, models: list[Json]) -> None:
        self.bar.show_rerank(self.models.reranker().get("installed", False))
        self.rasters.indexing.show_models(models)
        self.rasters.refresh()

    def _engine_gone(self) -> None:
        self.rasters.queue.forget()
        self.pages.setCurrentIndex(0)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Start the engine when the panel is first seen. QGIS shows every panel it is given, if only to hide it."""
        super().showEvent(event)
        QTimer.singleShot(0, self._seen)

    def _seen(self) -> None:
        if self.isVisible():
            self.control.start()
