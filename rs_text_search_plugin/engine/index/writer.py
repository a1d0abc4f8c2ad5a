"""Tiles into part files: one thread reads ahead, the other encodes and writes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.contracts.arrays import F32, U8
from rs_text_search_plugin.contracts.errors import Cancelled, RasterError
from rs_text_search_plugin.contracts.operations.indexing import Unreadable
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.raster.reader import Raster
from rs_text_search_plugin.engine.raster.sources import gdal_options
from rs_text_search_plugin.engine.raster.strips import Skipped, Strips

from .meta import Meta, read_meta, write_json
from .part_reader import read_note
from .parts import Part, PartNote, part_name, parts_of, write_part

QUEUED_BATCHES = 4


@dataclass(frozen=True)
class IndexReport:
    """What was made. `resumed` tiles were found done."""

    index: Path
    tiles: int
    empty: int
    unreadable: tuple[Unreadable, ...]
    tiles_per_s: float
    complete: bool
    resumed: int


@dataclass(frozen=True)
class _Batch:
    """Some tiles of a part; the last one of a part has no tiles and tells what was skipped."""

    part: Part
    ids: list[int]
    tiles: list[U8]
    skipped: Skipped | None = None


class IndexWriter:
    """One pass over the parts still to do: a producer thread reads, this thread encodes and writes."""

    def __init__(
        self, folder: Path, meta: Meta, raster: Raster, encoder: Encoder, wanted: npt.NDArray[np.bool_]
    ) -> None:
        self.folder = folder
        self.meta = meta
        self.raster = raster
        self.encoder = encoder
        self.wanted = wanted
        self.batch = encoder.batch
        self.strips = [
            Strips(raster, lattice, meta.stretch, meta.factor * 2**level)
            for level, lattice in enumerate(meta.tiling.lattices)
        ]
        self.waiting: queue.Queue[_Batch | None] = queue.Queue(QUEUED_BATCHES)
        self.stop = threading.Event()

    def run(self, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> IndexReport:
        """Do what is left to do, then seal the index. Raises Cancelled; every part written is kept."""
        parts = parts_of(self.meta.tiling, self.meta.factor)
        asked = {part: int(self.wanted[part.ids(self.meta.tiling)].sum()) for part in parts}
        notes = {part.number: read_note(self._file(part)) for part in parts if self._file(part).is_file()}
        left = [part for part in parts if part.number not in notes and asked[part]]
        done = self.meta.planned - sum(asked[part] for part in left)
        resumed, start = sum(note.tiles for note in notes.values()), time.monotonic()
        progress(done, self.meta.planned)
        with ThreadPoolExecutor(1, "reader") as pool:
            reader = pool.submit(self._produce, left)
            try:
                for part, note, handled in self._consume(cancelled):
                    done += handled
                    progress(done, self.meta.planned)
                    if note is not None:
                        notes[part.number] = note
                reader.result()  # raises what ended it too early
            finally:
                self.stop.set()
        return self._seal(notes, resumed, time.monotonic() - start)

    def _file(self, part: Part) -> Path:
        return self.folder / part_name(part.number)

    def _produce(self, parts: list[Part]) -> None:
        """Reader thread: every tile of every part in batches, then None."""
        import rasterio  # noqa: PLC0415

        try:
            with rasterio.Env(**gdal_options(self.raster.source, local=self.raster.address is None)):
                for part in parts:
                    self._produce_part(part)
        finally:
            self._put(None)

    def _produce_part(self, part: Part) -> None:
        skipped = Skipped()
        ids: list[int] = []
        tiles: list[U8] = []
        start, end = self.meta.tiling.starts[part.level : part.level + 2]
        for tile, pixels in self.strips[part.level].tiles(part, skipped, self.wanted[start:end]):
            ids.append(int(start) + tile)
            tiles.append(pixels.copy())
            if len(ids) == self.batch:
                self._put(_Batch(part, ids, tiles))
                ids, tiles = [], []
            if self.stop.is_set():
                return
        if ids:
            self._put(_Batch(part, ids, tiles))
        self._put(_Batch(part, [], [], skipped))

    def _put(self, item: _Batch | None) -> None:
        while not self.stop.is_set():
            try:
                self.waiting.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    def _consume(self, cancelled: Callable[[], bool]) -> Iterator[tuple[Part, PartNote | None, int]]:
        """(part, its note once it is written, tiles handled) of every batch."""
        ids: list[int] = []
        rows: list[F32] = []
        while (item := self._take(cancelled)) is not None:
            if item.skipped is None:
                rows.append(self.encoder.images(np.stack(item.tiles)))
                ids += item.ids
                yield item.part, None, len(item.ids)
                continue
            vectors = np.concatenate(rows) if rows else np.zeros((0, self.meta.dim), np.float32)
            note = PartNote(item.skipped.empty, tuple(item.skipped.unreadable), len(ids), self.meta.key)
            write_part(self._file(item.part), self.meta, np.array(ids, np.int64), vectors, note)
            yield item.part, note, item.skipped.empty + len(item.skipped.unreadable)
            ids, rows = [], []

    def _take(self, cancelled: Callable[[], bool]) -> _Batch | None:
        while True:
            if cancelled():
                raise Cancelled("Indexing was stopped; what is done is kept.", "Index again to carry on.")
            try:
                return self.waiting.get(timeout=0.2)
            except queue.Empty:
                continue

    def _seal(self, notes: dict[int, PartNote], resumed: int, seconds: float) -> IndexReport:
        tiles = sum(note.tiles for note in notes.values())
        empty = sum(note.empty for note in notes.values())
        unreadable = tuple(skip for _, note in sorted(notes.items()) for skip in note.unreadable)
        if not tiles:
            reason = unreadable[0].reason if unreadable else "no tile has enough valid pixels"
            raise RasterError(
                f"Nothing of {self.meta.source} could be indexed: {reason}.",
                "Choose smaller tiles, or check the raster's nodata value and mask.",
            )
        meta = replace(
            self.meta, complete=True, parts=tuple(sorted(notes)), empty=empty, unreadable=unreadable
        )
        if read_meta(self.folder) != meta:  # caches are as old as meta.json
            write_json(self.folder / "meta.json", meta)
        rate = (tiles - resumed) / seconds if seconds > 0 else 0.0
        return IndexReport(self.folder, tiles, empty, unreadable, rate, True, resumed)
