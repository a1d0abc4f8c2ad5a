"""A raster into an index: strips -> tiles -> batches -> part files, resumable at every part."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.version import VERSION

from .errors import Cancelled, IndexMismatch, IndexStoreError, RasterError
from .grid import Lattice, footprints, lattice, windows
from .parts import Part, part_name, parts_of, read_columns, read_note, write_part
from .raster import REMOTE, Raster, is_remote, open_raster
from .store import Meta, file_facts, index_folder, read_meta, write_json
from .strips import Skipped, Strips
from .types import F32, U8, Encoder
from .zone import Zone

BATCH = 32
MIN_TILE_PX = 32
WAITING_BATCHES = 4
OWN_FILES = (
    "part-?????.parquet",
    "meta.json",
    "request.json",
    "vectors-*.npy",
    "ids-*.npy",
    "vectors-*.faiss",
)
"""All that --restart removes; a folder given with --out may hold a person's own files."""
ROW_BYTES = 64
"""A part's columns beside the embedding, compressed."""


@dataclass(frozen=True)
class IndexOptions:
    """How to tile: side in px or in metres on the ground, overlap 0-0.9, bands from 1, an area to keep to."""

    tile_px: int | None = None
    tile_m: float | None = None
    overlap: float = 0.0
    bands: tuple[int, ...] | None = None
    area: dict[str, Any] | None = None
    area_crs: str | None = None
    out: Path | None = None
    mode: str = "auto"


@dataclass(frozen=True)
class Plan:
    """What indexing would make; `bytes` is an estimate."""

    tiles: int
    rows: int
    cols: int
    tile_px: tuple[int, int]
    tile_m: float | None
    gsd_m: float | None
    bytes: int
    index: Path
    badges: tuple[str, ...]


@dataclass(frozen=True)
class IndexReport:
    """What was made. `resumed` tiles were found done; `unreadable` are {"window", "reason"}."""

    index: Path
    tiles: int
    empty: int
    unreadable: tuple[dict[str, Any], ...]
    tiles_per_s: float
    complete: bool
    resumed: int


def plan(source: str, options: IndexOptions, encoder_size: int, encoder_dim: int) -> Plan:
    """What `index` would do, without doing it. Raises RasterError."""
    with open_raster(source, options.bands) as raster:
        grid = tiling(raster, options, encoder_size)
        tiles = int(_wanted(raster, grid, options).sum())
        return Plan(
            tiles=tiles,
            rows=grid.rows,
            cols=grid.cols,
            tile_px=(grid.tile_w, grid.tile_h),
            tile_m=None if raster.pixel_m is None else grid.tile_h * raster.pixel_m[1],
            gsd_m=raster.gsd_m,
            bytes=tiles * (2 * encoder_dim + ROW_BYTES) + tiles * 4 * encoder_dim,
            index=index_folder(source, options.out),
            badges=tuple(raster.badges),
        )


def tiling(raster: Raster, options: IndexOptions, encoder_size: int) -> Lattice:
    """The lattice a raster gets: tiles square on the ground, the encoder's input size when nothing is said."""
    size_x, size_y = raster.pixel_m or (1.0, 1.0)
    if options.tile_m is not None:
        if raster.pixel_m is None:
            raise RasterError(
                f"{raster.source} has no CRS, so metres mean nothing.", "Give --tile-px instead."
            )
        side = options.tile_m
    else:
        side = (options.tile_px or encoder_size) * max(size_x, size_y)
    tile_w, tile_h = max(1, round(side / size_x)), max(1, round(side / size_y))
    if options.tile_px is None and options.tile_m is None:
        shrink = min(1.0, raster.width / tile_w, raster.height / tile_h)
        tile_w, tile_h = int(tile_w * shrink + 1e-6), int(tile_h * shrink + 1e-6)
    if min(tile_w, tile_h) < MIN_TILE_PX:
        raise RasterError(
            f"A tile of {tile_w} x {tile_h} px is too small to show anything; {MIN_TILE_PX} px is the least.",
            "Choose larger tiles, or a raster with more pixels.",
        )
    return lattice(raster.width, raster.height, tile_w, tile_h, options.overlap)


def decimation(grid: Lattice, encoder_size: int) -> int:
    """Read at 1/n of the resolution, so that a tile is still at least as large as the encoder's input."""
    return max(1, min(grid.tile_w, grid.tile_h) // encoder_size)


def index(
    source: str,
    encoder: Encoder,
    options: IndexOptions,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> IndexReport:
    """Embed every tile of a raster into its index folder; parts that are there already are kept.

    Raises RasterError, IndexMismatch when the folder holds another index, IndexStoreError when another
    process works on it, Cancelled after keeping what is done.
    """
    folder = index_folder(source, options.out)
    with open_raster(source, options.bands) as raster:
        meta = _request(raster, encoder, options)
        wanted = _wanted(raster, meta.lattice, options)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            prepare(folder, meta, options.mode)
            return _Run(folder, meta, raster, encoder, wanted).run(progress, cancelled)


def _request(raster: Raster, encoder: Encoder, options: IndexOptions) -> Meta:
    grid = tiling(raster, options, encoder.size)
    size, mtime, probe = file_facts(raster.source)
    return Meta(
        source=raster.source if is_remote(raster.source) else str(Path(raster.source).absolute()),
        size=size,
        mtime=mtime,
        probe=probe,
        crs=raster.crs,
        transform=raster.transform,
        width=raster.width,
        height=raster.height,
        bands=raster.bands,
        stretch=raster.stretch(),
        gsd_m=raster.gsd_m,
        badges=tuple(raster.badges),
        lattice=grid,
        overlap=options.overlap,
        area=options.area,
        area_crs=options.area_crs,
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        dim=encoder.dim,
        factor=decimation(grid, encoder.size),
        version=VERSION,
    )


def _wanted(raster: Raster, grid: Lattice, options: IndexOptions) -> npt.NDArray[np.bool_]:
    """(tiles,) whether each tile of the lattice meets the area asked for. Raises RasterError when none does."""
    if options.area is None:
        return np.ones(len(grid), dtype=bool)
    corners = footprints(raster.transform, windows(grid, np.arange(len(grid))))
    wanted = Zone(options.area, options.area_crs).meets(corners, raster.crs)
    if not wanted.any():
        raise RasterError(f"The area lies outside {raster.source}.", "Choose an area that meets the raster.")
    return wanted


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time works on an index; the system lets go of the lock when a process dies."""
    from filelock import FileLock, Timeout  # noqa: PLC0415

    holder = folder / ".holder"
    try:
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        who = holder.read_text("utf-8") if holder.is_file() else "another process"
        raise IndexStoreError(f"{folder} is being written by {who}.", "Wait until it is done.") from error
    try:
        holder.write_text(f"process {os.getpid()}", "utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def prepare(folder: Path, meta: Meta, mode: str) -> None:
    """Clear or keep what a folder holds, then leave the request there. Raises IndexMismatch, IndexStoreError."""
    if mode != "restart" and ((folder / "meta.json").is_file() or (folder / "request.json").is_file()):
        _same_or_raise(folder, read_meta(folder), meta)
        damaged = [file for file in folder.glob("part-*.parquet") if not _sound(file, meta)]
        for file in damaged and [folder / "meta.json", *damaged]:
            file.unlink(missing_ok=True)
    else:
        for pattern in OWN_FILES:
            for file in folder.glob(pattern):
                file.unlink()
    write_json(folder / "request.json", asdict(meta))


def _same_or_raise(folder: Path, there: Meta, meta: Meta) -> None:
    if there.key == meta.key:
        return
    way_out = "Index it anew with --restart, or choose another folder with --out."
    if there.probe != meta.probe or (there.width, there.height) != (meta.width, meta.height):
        raise IndexMismatch(f"{meta.source} has changed since {folder.name} was begun.", way_out)
    if there.fingerprint != meta.fingerprint:
        raise IndexMismatch(f"{folder} was made with another model, “{there.model}”.", way_out)
    raise IndexMismatch(f"{folder} was made with other tiles, bands, overlap or area.", way_out)


def _sound(file: Path, meta: Meta) -> bool:
    """Whether a part can be read and belongs to this request."""
    try:
        read_columns(file, meta.dim)
        return bool(read_note(file).get("key") == meta.key)
    except IndexStoreError:
        return False


@dataclass(frozen=True)
class _Batch:
    """Up to BATCH tiles of a part; the last one of a part has no tiles and tells what was skipped."""

    part: Part
    ids: list[int]
    tiles: list[U8]
    skipped: Skipped | None = None


class _Run:
    """One pass over the parts still to do: a producer thread reads, this thread encodes and writes."""

    def __init__(
        self, folder: Path, meta: Meta, raster: Raster, encoder: Encoder, wanted: npt.NDArray[np.bool_]
    ) -> None:
        self.folder = folder
        self.meta = meta
        self.encoder = encoder
        self.wanted = wanted
        self.strips = Strips(raster, meta.lattice, meta.stretch, meta.factor)
        self.waiting: queue.Queue[_Batch | BaseException | None] = queue.Queue(WAITING_BATCHES)
        self.stop = threading.Event()

    def run(self, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> IndexReport:
        """Do what is left to do, then seal the index. Raises Cancelled; every part written is kept."""
        parts = parts_of(self.meta.lattice, self.meta.factor)
        notes = {p.number: read_note(self._file(p)) for p in parts if self._file(p).is_file()}
        left = [
            part
            for part in parts
            if part.number not in notes and self.wanted[part.ids(self.meta.lattice)].any()
        ]
        done = sum(
            int(self.wanted[part.ids(self.meta.lattice)].sum()) for part in parts if part.number in notes
        )
        resumed, start = sum(note["tiles"] for note in notes.values()), time.monotonic()
        producer = threading.Thread(target=self._produce, args=(left,), name="reader", daemon=True)
        producer.start()
        try:
            for part, note, seen in self._consume(cancelled):
                done += seen
                progress(done, int(self.wanted.sum()))
                if note is not None:
                    notes[part.number] = note
        finally:
            self.stop.set()
            producer.join()
        return self._seal(notes, resumed, time.monotonic() - start)

    def _file(self, part: Part) -> Path:
        return self.folder / part_name(part.number)

    def _produce(self, parts: list[Part]) -> None:
        """Reader thread: every tile of every part in batches, then None; or the error that ended it."""
        import rasterio  # noqa: PLC0415

        try:
            with rasterio.Env(**(REMOTE if is_remote(self.meta.source) else {})):
                for part in parts:
                    self._produce_part(part)
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _produce_part(self, part: Part) -> None:
        skipped = Skipped()
        ids: list[int] = []
        tiles: list[U8] = []
        for tile, picture in self.strips.tiles(part, skipped, self.wanted):
            ids.append(tile)
            tiles.append(picture.copy())
            if len(ids) == BATCH:
                self._put(_Batch(part, ids, tiles))
                ids, tiles = [], []
            if self.stop.is_set():
                return
        if ids:
            self._put(_Batch(part, ids, tiles))
        self._put(_Batch(part, [], [], skipped))

    def _put(self, item: _Batch | BaseException | None) -> None:
        while not self.stop.is_set():
            try:
                self.waiting.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    def _consume(self, cancelled: Callable[[], bool]) -> Iterator[tuple[Part, dict[str, Any] | None, int]]:
        """(part, its note once it is written, tiles seen) of every batch."""
        ids: list[int] = []
        rows: list[F32] = []
        while (item := self._take(cancelled)) is not None:
            if item.skipped is None:
                rows.append(embed(self.encoder, np.stack(item.tiles)))
                ids += item.ids
                yield item.part, None, len(item.ids)
                continue
            vectors = np.concatenate(rows) if rows else np.zeros((0, self.meta.dim), np.float32)
            note = {**asdict(item.skipped), "tiles": len(ids), "key": self.meta.key}
            write_part(self.folder, item.part, self.meta, np.array(ids, np.int64), vectors, note)
            yield item.part, note, item.skipped.empty + len(item.skipped.unreadable)
            ids, rows = [], []

    def _take(self, cancelled: Callable[[], bool]) -> _Batch | None:
        while True:
            if cancelled():
                raise Cancelled("Indexing was stopped; what is done is kept.", "Index again to carry on.")
            try:
                item = self.waiting.get(timeout=0.2)
            except queue.Empty:
                continue
            if isinstance(item, BaseException):
                raise item
            return item

    def _seal(self, notes: dict[int, dict[str, Any]], resumed: int, seconds: float) -> IndexReport:
        tiles = sum(note["tiles"] for note in notes.values())
        empty = sum(note["empty"] for note in notes.values())
        unreadable = tuple(skip for _, note in sorted(notes.items()) for skip in note["unreadable"])
        if not tiles:
            reason = unreadable[0]["reason"] if unreadable else "no tile has enough valid pixels"
            raise RasterError(
                f"Nothing of {self.meta.source} could be indexed: {reason}.", "Choose another raster."
            )
        meta = replace(
            self.meta, complete=True, parts=tuple(sorted(notes)), empty=empty, unreadable=unreadable
        )
        write_json(self.folder / "meta.json", asdict(meta))
        rate = (tiles - resumed) / seconds if seconds > 0 else 0.0
        return IndexReport(self.folder, tiles, empty, unreadable, rate, True, resumed)


def embed(encoder: Encoder, tiles: U8) -> F32:
    """(n, h, w, 3) -> (n, dim); when the GPU's memory runs out, in halves."""
    try:
        return encoder.images(tiles)
    except RuntimeError as error:
        if "out of memory" not in str(error) or len(tiles) == 1:
            raise
    half = len(tiles) // 2
    return np.concatenate([embed(encoder, tiles[:half]), embed(encoder, tiles[half:])])
