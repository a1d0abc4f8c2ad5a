"""The search panel: collects a query, shows the matches, and hands what a person does on to engine and map."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qgis.core import QgsApplication, QgsCoordinateReferenceSystem, QgsPointXY, QgsProject
from qgis.gui import QgisInterface, QgsDockWidget
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import QFileDialog, QStackedWidget, QVBoxLayout, QWidget

from rs_text_search_plugin.contracts.errors import SearchError
from rs_text_search_plugin.contracts.operations.search import export_row
from rs_text_search_plugin.engine_process.client import EngineClient, EngineError, Json
from rs_text_search_plugin.map.area_control import AreaControl
from rs_text_search_plugin.map.matches_in_view import MatchesInView
from rs_text_search_plugin.map.project_link import ProjectLink
from rs_text_search_plugin.map.result_layers import ResultLayers
from rs_text_search_plugin.map.tile_geometry import wkt2_of
from rs_text_search_plugin.translation import tr

from .controls import column, fill
from .description_panel import DescriptionPanel
from .dialogs.models_dialog import ModelsDialog
from .engine_control import EngineControl
from .live_search import LiveSearch
from .messages import Messages
from .quantities import matches
from .query_bar import Example, QueryBar
from .rasters.raster import remade
from .rasters.raster_panel import RasterPanel
from .results.kept_panel import KeptPanel
from .results.match_model import THUMBNAIL
from .results.pointing import Pointing
from .results.results_panel import FETCHED, ResultsPanel
from .results.suggestions import Suggestions
from .review.review import Review
from .review.review_dialog import ReviewDialog
from .scroll_page import ScrollPage
from .session import PanelSession

FORMATS = "GeoPackage (*.gpkg);;ESRI Shapefile (*.shp);;GeoJSON (*.geojson);;FlatGeobuf (*.fgb)"
WIDTH = 300
"""px, enough for three thumbnails in a row."""


class SearchDock(QgsDockWidget):
    """Panel of the plugin. `close_down` must be called before it is thrown away."""

    def __init__(self, iface: QgisInterface, engine: EngineClient) -> None:
        super().__init__(tr("Text Search"), iface.mainWindow())
        self.setObjectName("RsTextSearchDock")
        self.engine = engine
        self.messages = Messages(iface)
        self.layers = ResultLayers(iface.mapCanvas())
        self.live = LiveSearch(engine, self)
        self.suggestions = Suggestions(engine, self)
        self._request: Json = {}  # the search under way or done last
        self._build()
        self._connect_engine()
        self._connect_panels()
        self._connect_store()
        self.link.open()

    def close_down(self) -> None:
        """Let go of the project, the map and the engine's signals, and ask the engine nothing more."""
        QgsProject.instance().removeAll.disconnect(self._leave_project)
        self._leave_project()
        self.link.detach()
        self.area.detach()
        self.in_view.detach()
        self.pointing.detach()
        self.models.close()
        self.bar.clear()
        self.control.detach()
        self.rasters.detach()
        self.layers.highlight.clear()

    # ---- what others ask of the panel ----

    def index_layer(self, layer_id: str) -> None:
        """Index one layer with the settings in the panel."""
        self.setUserVisible(True)
        raster = self.rasters.list.raster(layer_id)
        if raster is None or raster.reason:
            self.messages.warn(tr("This layer cannot be indexed."), raster.reason if raster else "")
        elif not self.engine.is_ready():
            hint = tr("The Text Search panel tells what to do.")
            self.messages.warn(tr("The search engine is not running yet."), hint)
        else:
            self.rasters.index_layer(layer_id)

    def search_for(self, text: str) -> None:
        """Show the panel and search for a phrase."""
        self.setUserVisible(True)
        self.bar.search_for(text)

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
                self.messages.warn(tr("No indexed tile covers this place."))

        self.setUserVisible(True)
        self.engine.request("locate", self._place(point, crs), take, self.messages.show_error)

    # ---- searching ----

    def search(self) -> None:
        """Search with what the panel holds, cancelling the search before."""
        self.live.cancel()
        query, indexes = self.bar.query(), self.rasters.indexes()
        if not query:
            return
        if not indexes or self.area.missing():
            self.results.show_message(self.area.missing() or self.rasters.reason_for_none())
            return
        if self.rasters.queue.running():
            self.results.show_message(self.rasters.progress_note())
        self.session.searched = self.rasters.stamps()
        request = {"indexes": indexes, "top": FETCHED, "heat": self.results.heat_button.isChecked()}
        self._request = {**request, **query, **self.area.to_request()}
        self.live.start(self._request, self.bar.rerank.isChecked())

    def clear(self) -> None:
        """Forget the query and take the current result off the map; can be undone."""
        session, stored = self.session.save(), self.layers.store.current

        def take_back() -> None:
            self.session.restore(session)
            if stored is not None:
                self.layers.restore(stored)
                self._show_stored()

        self.kept.push(tr("Clear"), self._clear_all, take_back)

    def _clear_all(self) -> None:
        self.live.cancel()
        self.bar.clear()
        self._clear_result()
        self._follow_rasters()

    def _clear_result(self) -> None:
        self.description.dismiss()
        self.results.show_result({}, {})
        self.layers.clear()

    def _leave_project(self) -> None:
        """Another project opens: its layers take care of themselves, the panel forgets what it showed."""
        self.live.cancel()
        self.description.dismiss()
        self.results.show_result({}, {})
        self.bar.keep_examples_of(set())

    def _search_failed(self, error: EngineError) -> None:
        self._clear_result()
        if error.kind == "IndexMismatch":
            self.rasters.refuse(error)
        self.results.show_message(str(error))
        self.messages.show_error(error)

    def _rerank_failed(self, error: EngineError) -> None:
        self.results.show_message(self.results.result["verdict"])
        self.messages.show_error(error)

    def _found(self, result: Json) -> None:
        try:
            self.layers.show_matches(result, self._request)
            self.layers.show_heat(result.get("heat") or [])
        except SearchError as error:
            self._report(error)
        self._show_result(result)

    def _show_result(self, result: Json) -> None:
        stamps: dict[str, object] = {index: written for index, written, _ in self.session.searched}
        self.results.show_result(result, self.rasters.names(), stamps)
        self.results.show_note(self.rasters.left_out())
        self.kept.refresh()

    def review(self) -> ReviewDialog:
        """Open a review of the result on screen."""
        review = Review(self.layers.store, self.results.result, self.results.filter_values()[0])
        dialog = ReviewDialog(review, self.engine, self)
        dialog.examples_wanted.connect(self._search_with_verdicts)
        dialog.failed.connect(self.messages.show_error)
        dialog.show()
        dialog.activateWindow()
        return dialog

    def _search_with_verdicts(self, kept: list[Json], discarded: list[Json]) -> None:
        marks = [(match, True) for match in kept] + [(match, False) for match in discarded]
        self.bar.set_examples([Example(match["index"], match["id"], wanted) for match, wanted in marks])

    def _suggest(self) -> None:
        indexes = self._request.get("indexes", [])
        if self.engine.is_ready() and indexes:
            made_from = frozenset(self.session.searched)
            self.suggestions.suggest(self.results.result["query"], indexes, made_from)

    def _report(self, error: SearchError) -> None:
        self.messages.warn(error.message, error.hint)

    # ---- the project's file ----

    def _open_session(self, saved: Json) -> None:
        """A project was opened: show what was saved with it."""
        self.session.restore(saved)
        self.kept.forget()
        self._show_stored()

    def _show_stored(self) -> None:
        """Show the current result of the store, if there is one, without searching."""
        current = self.layers.store.current
        if current is not None:
            self._request = current.request
            self.bar.show_query(current.request)
            self._show_result(current.result)

    def _follow_area(self) -> None:
        self.rasters.follow_area()
        if self.rasters.indexes() or self.area.missing():
            self.search()

    def _follow_filter(self, low: int, top: int) -> None:
        self.layers.filter(low, top)
        self.in_view.show_matches(self.results.result, self.results.shown_matches())

    def _change_examples(self, before: list[Example], after: list[Example]) -> None:
        change = partial(self.bar.set_examples, after), partial(self.bar.set_examples, before)
        self.kept.push(tr("Change the examples"), *change, done=True)

    def _switch_heat(self, shown: bool) -> None:
        if shown:
            self.search()
        else:
            self.layers.clear_heat()

    def _switch_rerank(self, wanted: bool) -> None:
        model = self.models.reranker()
        if wanted and not model.get("installed"):
            self.bar.show_rerank(False)
            self.models.open_at(model.get("name", ""))
        else:
            self.search()

    def _add_example(self, tile: Json, wanted: bool, alone: bool = False) -> None:
        self.bar.add_example(Example(tile["index"], tile["id"], wanted), alone=alone)

    def _follow_rasters(self) -> None:
        """Rasters or indexes may have changed: renew or drop the result, or search for what was typed meanwhile."""
        if not self.engine.is_ready():
            return  # nothing is known of the indexes yet; a result of the project's file stays
        now = self.rasters.stamps()
        if self.results.result and now != self.session.searched:
            gone = remade(self.session.searched, now)
            self.bar.keep_examples_of({example.index for example in self.bar.examples} - gone)
            if not now or not self.bar.query():
                self._clear_result()
        if not self.rasters.list.rasters:
            self.results.show_message(tr("Add a raster layer to the project to search it."))
        elif not self.results.result and not self.bar.query():
            self.results.show_message("" if now else tr("Index a raster once, then search it with words."))
        elif not self.bar.typing() and (now != self.session.searched or not self._answered()):
            self.search()
        else:
            self.results.gallery.matches.renew(
                self.rasters.names()
            )  # a project's result came before the engine

    def _answered(self) -> bool:
        """Whether the query has a result, or one is on its way."""
        return bool(self.results.result) or self.live.running()

    # ---- matches and tiles ----

    def _zoom_to(self, match: Json) -> None:
        sources = self.results.result["sources"]
        crs = next(source["crs"] for source in sources if source["index"] == match["index"])
        self.layers.highlight.go_to(match["corners"], crs)

    def _request_thumbnails(self, index: str, tiles: list[int]) -> None:
        made_from = self.session.written(index)

        def take(answer: Json) -> None:
            if made_from == self.session.written(index):  # else the ids name other tiles by now
                self.results.gallery.matches.add_thumbnails(index, tiles, answer["paths"])

        request = {"index": index, "ids": tiles, "size": THUMBNAIL}
        self.engine.request("thumbnails", request, take, self.messages.show_error)

    def _describe_match(self, match: Json) -> None:
        self._describe({"indexes": [match["index"]], "index": match["index"], "id": match["id"]})

    def _describe(self, place: Json) -> None:
        self.setUserVisible(True)
        self.description.show_waiting()
        place = {**place, "language": QgsApplication.locale()}
        self.engine.request("describe", place, self._show_description, self._describe_failed)

    def _show_description(self, described: Json) -> None:
        self.layers.highlight.outline(described["corners"], described["crs"])
        self.description.show_description(described, self.rasters.names().get(described["index"], ""))

    def _describe_failed(self, error: EngineError) -> None:
        self.description.dismiss()
        self.messages.show_error(error)

    def _place(self, point: QgsPointXY, crs: QgsCoordinateReferenceSystem) -> Json:
        where = {"crs": wkt2_of(crs)} if crs.isValid() else {}
        return {"indexes": self.rasters.indexes(), "x": point.x(), "y": point.y(), **where}

    def _export(self) -> None:
        title = tr("Export the matches shown")
        path, chosen = QFileDialog.getSaveFileName(self, title, "matches.gpkg", FORMATS)
        if path:
            suffix = chosen.partition("*")[2].rstrip(")")
            self.export_to(path if Path(path).suffix else path + suffix)

    def export_to(self, path: str) -> None:
        """Save the matches that pass the filter; the format follows from the name's ending."""
        result = self.results.result
        known = {"path": path, "query": result["query"], "model": result["model"]}
        rows = [export_row(match) for match in self.results.shown_matches()]
        self.engine.request("export", {**known, "matches": rows}, self._exported, self.messages.show_error)

    def _exported(self, report: Json) -> None:
        self.messages.inform(tr("{} saved.").format(matches(report["features"])), report["path"])
        for warning in report["warnings"]:
            self.messages.warn(tr("About the export:"), warning)

    # ---- widgets ----

    def _build(self) -> None:
        self.bar = QueryBar(self)
        self.rasters = RasterPanel(self.engine, self)
        self.description = DescriptionPanel(self)
        self.results = ResultsPanel(self)
        self.pointing = Pointing(self.engine, self.layers.canvas, self.results)
        self.control = EngineControl(self.engine, self)
        self.models = ModelsDialog(self.engine, self)
        self._build_store()
        self.pages = QStackedWidget(self)
        self.pages.addWidget(self.control.page)
        self.pages.addWidget(self._build_page())
        body = QWidget(self)
        body.setMinimumWidth(WIDTH)
        whole = QVBoxLayout(body)
        whole.setContentsMargins(6, 6, 6, 4)
        fill(whole, self.pages, self.control.footer)
        self.setWidget(body)
        self.setFocusProxy(self.bar.text)

    def _build_store(self) -> None:
        self.area = AreaControl(self.layers.canvas, self)
        self.in_view = MatchesInView(self.layers.canvas, self)
        self.kept = KeptPanel(self.layers, self.engine, self)
        self.kept.where = lambda: {"indexes": self.rasters.indexes(), **self.area.to_request()}
        self.session = PanelSession(self.bar, self.rasters.list, self.results, self.area)
        self.link = ProjectLink(self.layers, self.session.save, self)
        self.rasters.area = self.area.area

    def _build_page(self) -> ScrollPage:
        page = QWidget(self)
        layout = column(page, self.bar, self.area, self.rasters, self.description, self.in_view)
        fill(layout, self.results, self.kept)
        layout.setStretchFactor(self.results, 1)
        return ScrollPage(page, self)

    def _connect_engine(self) -> None:
        self.control.ready.connect(self._engine_ready)
        self.control.gone.connect(self._engine_gone)
        self.control.failed.connect(self.messages.warn)
        self.control.models_wanted.connect(self.models.open_at)
        self.models.known.connect(self._models_known)
        self.models.failed.connect(self.messages.show_error)
        self.live.found.connect(self._found)
        self.live.failed.connect(self._search_failed)
        self.live.rerank_failed.connect(self._rerank_failed)
        self.live.status_changed.connect(self.results.show_message)

    def _connect_panels(self) -> None:
        QgsProject.instance().removeAll.connect(self._leave_project)
        self.rasters.indexing.settings.models_wanted.connect(self.models.open_at)
        self.rasters.refreshed.connect(self._follow_rasters)
        self.rasters.indexed.connect(self.messages.inform)
        self.rasters.failed.connect(self.messages.show_error)
        self.bar.typed.connect(self.search)
        self.bar.submitted.connect(self.search)
        self.bar.rerank_switched.connect(self._switch_rerank)
        self.description.closed.connect(self.layers.highlight.clear)
        self.description.example_added.connect(self._add_example)
        self._connect_results()

    def _connect_results(self) -> None:
        results, gallery = self.results, self.results.gallery
        results.filtered.connect(self._follow_filter)
        results.suggestions_wanted.connect(self._suggest)
        results.phrase_chosen.connect(self.bar.search_for)
        self.suggestions.found.connect(results.show_suggestions)
        self.suggestions.failed.connect(self.messages.show_error)
        results.export_wanted.connect(self._export)
        results.heat_wanted.connect(self._switch_heat)
        results.clear_wanted.connect(self.clear)
        self.pointing.failed.connect(self.messages.show_error)
        gallery.thumbnails_wanted.connect(self._request_thumbnails)
        gallery.shown.connect(self._zoom_to)
        gallery.described.connect(self._describe_match)
        gallery.example_added.connect(self._add_example)

    def _connect_store(self) -> None:
        self.link.opened.connect(self._open_session)
        self.link.failed.connect(self._report)
        self.area.changed.connect(self._follow_area)
        self.bar.examples_changed.connect(self._change_examples)
        self.kept.review_wanted.connect(self.review)
        self.kept.released.connect(self._show_stored)
        self.kept.compared.connect(self.messages.inform)
        self.kept.failed.connect(self.messages.show_error)

    def _engine_ready(self) -> None:
        self.pages.setCurrentIndex(1)
        self.models.refresh()

    def _models_known(self, models: list[Json]) -> None:
        self.bar.show_rerank(self.models.reranker().get("installed", False))
        self.rasters.indexing.settings.show_models(models)
        self.rasters.refresh()

    def _engine_gone(self) -> None:
        self.rasters.queue.forget()
        self.pages.setCurrentIndex(0)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Start the engine when the panel is first shown. QGIS shows every panel it is given, if only to hide it."""
        super().showEvent(event)
        QTimer.singleShot(0, self._start_engine)

    def _start_engine(self) -> None:
        if self.isVisible():
            self.control.start()
