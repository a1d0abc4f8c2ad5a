"""An unfinished index that has grown: only new parts are read, and the rows are those of reading all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from rs_text_search_plugin.contracts.errors import Cancelled, IndexStoreError
from rs_text_search_plugin.engine.index import gathering
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.index.store import Index, open_index
from tests.engine.fakes import ColourEncoder, write_scene

TILE = IndexOptions(tile_px=32)


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    return write_scene(tmp_path / "scene.tif", side=1024)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the parts that are read."""
    names: list[str] = []
    real = gathering.read_part
    monkeypatch.setattr(
        gathering, "read_part", lambda file, meta: (names.append(file.name), real(file, meta))[1]
    )
    return names


def made(raster: Path, tiles: int, earlier: Index | None = None) -> Index:
    """The index after so many more tiles, opened."""
    encoder = ColourEncoder(size=32)
    with pytest.raises(Cancelled):
        index(str(raster), encoder, TILE, cancelled=lambda: sum(encoder.batches) >= tiles)
    return open_index(Path(f"{raster}.rsidx"), earlier)


def test_only_parts_that_came_since_are_read(raster: Path, read: list[str]) -> None:
    first = made(raster, 200)
    assert len(first.ids) >= 128
    before, read[:] = list(read), []
    second = made(raster, 200, first)
    read.clear()  # those that a resumed run looks through
    assert len(second.ids) > len(first.ids)
    assert read
    assert set(read).isdisjoint(before)
    whole = open_index(second.folder)
    assert np.array_equal(second.ids, whole.ids)
    assert np.array_equal(second.vectors, whole.vectors)


def test_a_part_that_has_changed_makes_all_be_read_again(raster: Path, read: list[str]) -> None:
    first = made(raster, 200)
    parts = sorted(first.gathered.parts)
    os.utime(first.folder / parts[0], ns=(1, 1))
    read.clear()
    assert len(open_index(first.folder, first).ids) == len(first.ids)
    assert sorted(read) == parts


def test_a_part_that_is_gone_is_named(raster: Path) -> None:
    first = made(raster, 200)
    files = [first.folder / name for name in first.gathered.parts]
    files[0].unlink()
    with pytest.raises(IndexStoreError, match=f"{files[0].name} is missing"):
        gathering.gather(files, first.meta)
