"""Everything a project's GeoPackage holds, in plain calls; it knows neither layers nor widgets."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

from qgis.core import QgsMessageLog, QgsProject, QgsWkbTypes

from .attribute_table import AttributeTable, Column
from .geopackage import TableLayout, cannot_write, copy_file, drop_table, has_table, uri_of, write_table
from .layer_metadata import metadata_of
from .location import free_path, in_profile, project_file, usual_path
from .stored_result import Json, StoredResult
from .tile_features import common_crs, match_features, match_fields
from .verdicts import COLUMNS, TABLE, Verdict, VerdictTable

SCOPE = "rs_text_search"
STATE = "text_search_state"
STATE_COLUMNS = (Column("kind"), Column("name"), Column("value"))
RESULT, CONCEPT = "result", "concept"
"""Kinds of rows in the table of states; their value is JSON."""
PREFIX = "search_"
LOG = "RS Text Search"


class ResultStore:
    """Results, verdicts and concepts of the open project. Every method that writes may raise StorageError.

    A result that a saved project shows is never changed: a new search gets a table of its own, and what is no
    longer wanted goes with `purge` once the project has been saved without it.
    """

    def __init__(self) -> None:
        self.project = QgsProject.instance()
        self.path = Path()
        self._saved: set[str] = set()  # tables that the project's file refers to
        self._results: dict[str, StoredResult] = {}
        self._home: Path | None = None  # the project's file when `path` was chosen
        self.load()

    # ---- results ----

    @property
    def results(self) -> list[StoredResult]:
        """All that are not removed, oldest first."""
        return [stored for stored in self._results.values() if not stored.removed]

    @property
    def current(self) -> StoredResult | None:
        """The result of the last search, unless it was cleared or kept."""
        return next((stored for stored in self.results if not stored.kept), None)

    @property
    def kept(self) -> list[StoredResult]:
        """Kept results, oldest first."""
        return [stored for stored in self.results if stored.kept]

    def result(self, table: str) -> StoredResult | None:
        """The result of a table, None when it is not there or removed."""
        stored = self._results.get(table)
        return stored if stored and not stored.removed else None

    def source_of(self, stored: StoredResult) -> str:
        """Data source of a result's matches, as the ogr provider takes it."""
        return uri_of(self.path, stored.table)

    def save_result(self, stored: StoredResult) -> StoredResult:
        """Write a result into a table of its own; its `table` is given here."""
        saved = replace(stored, table=self._free_table())
        crs = common_crs(saved.result)
        features = match_features(saved.result, crs, self.verdicts(saved.result["query"]))
        layout = TableLayout(saved.table, match_fields(), QgsWkbTypes.Type.Polygon, crs, metadata_of(saved))
        write_table(self.path, layout, features)
        self._record_path()
        self.update(saved)
        return saved

    def update(self, stored: StoredResult) -> None:
        """Store what is said about a result: title, filter, hue, heat; its table stays."""
        self._state().put(
            {"kind": RESULT, "name": stored.table, "value": json.dumps(stored.to_json())}, ("kind", "name")
        )
        self._results[stored.table] = stored

    def remove(self, table: str) -> None:
        """Take a result off the list; `purge` deletes it when no saved project refers to it."""
        removed = replace(self._results[table], removed=True)
        if table in self._saved:
            self.update(removed)
        self._results[table] = removed  # else it is purged soon, and not wanted if QGIS ends before

    def restore(self, stored: StoredResult) -> StoredResult:
        """Bring a removed result back; one that was purged is written anew from its matches, without heat."""
        if stored.table not in self._results:
            return self.save_result(replace(stored, heat=[]))
        self.update(replace(stored, removed=False))
        return self._results[stored.table]

    def purge(self) -> None:
        """Delete removed results that the project's file does not refer to."""
        for table in [name for name, stored in self._results.items() if stored.removed]:
            if table not in self._saved:
                drop_table(self.path, table)
                self._delete_heat(self._results.pop(table))
                self._state().remove(kind=RESULT, name=table)

    # ---- heat ----

    def heat_file(self, table: str, number: int) -> Path:
        """Where a result's heat raster lies: beside the GeoPackage."""
        return heat_path(self.path, table, number)

    def heat_files(self, stored: StoredResult) -> list[Path]:
        """A result's heat rasters."""
        return [self.heat_file(stored.table, number) for number in range(len(stored.heat))]

    def save_heat(self, stored: StoredResult, heats: list[Json]) -> StoredResult:
        """Copy heat rasters [{index, path}] beside the GeoPackage; they appear once they are whole."""
        for number, heat in enumerate(heats):
            copy_whole(Path(heat["path"]), self.heat_file(stored.table, number))
        saved = replace(stored, heat=[heat["index"] for heat in heats])
        self.update(saved)
        return saved

    def _delete_heat(self, stored: StoredResult) -> None:
        for file in self.heat_files(stored):
            delete(file)

    # ---- verdicts and concepts ----

    def verdicts(self, query: str) -> dict[tuple[str, int], Verdict]:
        """(index folder, tile id) -> verdict of a query."""
        return self._verdicts().of(query)

    def put_verdict(self, verdict: Verdict) -> None:
        """Store a verdict in place of an older one on the same query and tile."""
        self._verdicts().put(verdict)

    def remove_verdict(self, query: str, index: str, tile_id: int) -> None:
        """Take a verdict back."""
        self._verdicts().remove(query, index, tile_id)

    def concepts(self) -> dict[str, Json]:
        """Name -> what was stored under it."""
        return {row["name"]: json.loads(row["value"]) for row in self._state().rows(kind=CONCEPT)}

    def save_concept(self, name: str, value: Json) -> None:
        """Store a concept in place of an older one of that name."""
        self._state().put({"kind": CONCEPT, "name": name, "value": json.dumps(value)}, ("kind", "name"))

    def remove_concept(self, name: str) -> None:
        """Delete a concept."""
        self._state().remove(kind=CONCEPT, name=name)

    # ---- the project's file ----

    def load(self) -> None:
        """Read what the GeoPackage of the project now open holds; nothing where it has none."""
        self._home = project_file(self.project)
        self.path = self._recorded_path() or usual_path(self.project)
        rows = self._state().rows(kind=RESULT)
        found = [StoredResult.from_json(json.loads(row["value"])) for row in rows]
        self._results = {stored.table: stored for stored in sorted(found, key=lambda stored: stored.made)}
        self._saved = set(self._results)

    def settle(self, shown: set[str]) -> None:
        """After `load`: a result that the project shows is wanted, whatever was done after it was saved."""
        for stored in list(self._results.values()):
            gone = stored.table not in shown and (stored.removed or not stored.kept)
            if stored.removed != gone:
                self.update(replace(stored, removed=gone))

    def follow(self) -> Path | None:
        """Before the project is written: copy all to where it belongs now; the old file, None for no move."""
        old, home = self.path, project_file(self.project)
        moves = home != self._home and old.is_file()
        if not old.is_file():
            self.path = usual_path(self.project)
        if moves:
            new = free_path(usual_path(self.project))
            copy_file(old, new)
            self.path = new
            for stored in self._results.values():
                self._copy_heat(stored, old)
        self._home = home
        if self.path.is_file():
            self._record_path()
        return old if moves else None

    def saved(self, old: Path | None) -> None:
        """After the project was written: purge, and delete the copy in the profile that `follow` left."""
        self._saved = {stored.table for stored in self.results}
        self.purge()
        if old is not None and in_profile(old):
            delete_all(old)

    def discard(self) -> None:
        """The project is closed: delete its results if it was never saved and nothing was kept or judged."""
        if in_profile(self.path) and not self._saved and not self._holds_work():
            delete_all(self.path)

    def _holds_work(self) -> bool:
        """Whether there is anything that a new search would not bring back."""
        return bool(self.kept or self._verdicts().count() or self.concepts())

    def _copy_heat(self, stored: StoredResult, old: Path) -> None:
        for number, file in enumerate(self.heat_files(stored)):
            before = heat_path(old, stored.table, number)
            if before.is_file():
                copy_whole(before, file)

    def _recorded_path(self) -> Path | None:
        entry, known = self.project.readEntry(SCOPE, "store", "")
        path = Path(self.project.readPath(entry)) if known and entry else None
        return path if path and path.is_file() else None

    def _record_path(self) -> None:
        self.project.writeEntry(SCOPE, "store", self.project.writePath(str(self.path)))

    def _free_table(self) -> str:
        number = len(self._results) + 1
        while f"{PREFIX}{number}" in self._results or has_table(self.path, f"{PREFIX}{number}"):
            number += 1
        return f"{PREFIX}{number}"

    def _state(self) -> AttributeTable:
        return AttributeTable(self.path, STATE, STATE_COLUMNS)

    def _verdicts(self) -> VerdictTable:
        return VerdictTable(AttributeTable(self.path, TABLE, COLUMNS))


def heat_path(store: Path, table: str, number: int) -> Path:
    """Where a heat raster of a result lies: beside the GeoPackage at `store`."""
    return store.with_name(f"{store.stem}_{table}_heat_{number}.tif")


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file; `target` appears once it is whole. Raises: StorageError."""
    partial = target.with_name(f"{target.name}.part")
    try:
        shutil.copyfile(source, partial)
        os.replace(partial, target)
    except OSError as error:
        raise cannot_write(target, str(error)) from error


def delete(file: Path) -> None:
    """Delete a file; one that another program holds open stays, and QGIS's log says so."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        QgsMessageLog.logMessage(f"{file} stays: {error}", LOG)


def delete_all(store: Path) -> None:
    """Delete a GeoPackage of the profile and the heat rasters beside it."""
    for file in store.parent.glob(f"{store.stem}*"):
        delete(file)
