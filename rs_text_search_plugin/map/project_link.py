"""Keeps store, layers and the panel in step with the project: opened, saved, saved elsewhere, closed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QObject, pyqtSignal

from rs_text_search_plugin.results_store.geopackage import StorageError
from rs_text_search_plugin.results_store.store import SCOPE
from rs_text_search_plugin.results_store.stored_result import Json

from .result_layers import ResultLayers


class ProjectLink(QObject):
    """Follows the project until `detach`. `session` tells what the panel holds, to be saved with the project."""

    opened = pyqtSignal(dict)
    """Another project is open: what `session` gave when it was saved, empty for a new one."""
    failed = pyqtSignal(object)
    """A StorageError: results could not be stored with the project."""

    def __init__(
        self, layers: ResultLayers, session: Callable[[], Json], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.layers = layers
        self.store = layers.store
        self._session = session
        self._moved_from: Path | None = None
        self._project = QgsProject.instance()
        self._slots = (
            (self._project.writeProject, self._before_write),
            (self._project.projectSaved, self._after_write),
            (self._project.readProject, self.open),
            (self._project.cleared, self._close),
        )
        for signal, slot in self._slots:
            signal.connect(slot)

    def detach(self) -> None:
        """Follow the project no longer."""
        for signal, slot in self._slots:
            signal.disconnect(slot)

    def open(self) -> None:
        """Take up the project that is open now."""
        self.store.load()
        self.store.settle(self.layers.shown_tables())
        self.layers.adopt()
        saved, _ = self._project.readEntry(SCOPE, "session", "{}")
        self.opened.emit(json.loads(saved))

    def _before_write(self) -> None:
        """Runs before the layers are written, so that the project's file names their new place."""
        self._project.writeEntry(SCOPE, "session", json.dumps(self._session()))
        try:
            self.layers.remember_filter()
            self._moved_from = self.store.follow()
            if self._moved_from is not None:
                self.layers.point_at_store()
            self.layers.save_styles()
        except StorageError as error:
            self.failed.emit(error)

    def _after_write(self) -> None:
        try:
            self.store.saved(self._moved_from)
        except StorageError as error:
            self.failed.emit(error)
        self._moved_from = None

    def _close(self) -> None:
        self.store.discard()
        self.open()
