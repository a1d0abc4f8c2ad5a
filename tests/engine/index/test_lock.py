"""One process at a time writes an index, and it clears away only what it made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rs_text_search_plugin.contracts.errors import IndexMismatch, IndexStoreError
from rs_text_search_plugin.engine.index.lock import locked, prepare
from rs_text_search_plugin.engine.index.meta import read_meta
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from tests.engine.fakes import ColourEncoder
from tests.engine.rasters import painted, write


@pytest.fixture
def folder(tmp_path):
    raster = write(tmp_path / "scene.tif", painted(256, 256))
    return index(str(raster), ColourEncoder(size=32), IndexOptions(tile_px=32)).index


def test_the_second_to_come_is_told(tmp_path):
    with locked(tmp_path), pytest.raises(IndexStoreError, match="being written by process") as error:
        locked(tmp_path).__enter__()
    assert "Wait" in error.value.hint


def test_the_lock_is_let_go(tmp_path):
    for _ in range(2):
        with locked(tmp_path):
            pass


def test_what_fits_is_kept(folder):
    before = {file: file.stat().st_mtime_ns for file in folder.glob("part-*")}
    prepare(folder, read_meta(folder), "auto")
    assert before == {file: file.stat().st_mtime_ns for file in folder.glob("part-*")}
    assert (folder / "meta.json").is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probe": "other"}, "has changed"),
        ({"fingerprint": "0" * 64}, "another model"),
        ({"overlap": 0.5}, "other tiles"),
    ],
)
def test_another_request_is_refused_and_the_way_out_named(folder, change, message):
    with pytest.raises(IndexMismatch, match=message) as error:
        prepare(folder, replace(read_meta(folder), **change), "auto")
    assert "--restart" in error.value.hint
    assert list(folder.glob("part-*"))


def test_restart_clears_its_own_files_only(folder):
    (folder / "notes.txt").write_text("mine")
    prepare(folder, replace(read_meta(folder), overlap=0.5), "restart")
    assert sorted(file.name for file in folder.iterdir() if file.name[0] != ".") == [
        "notes.txt",
        "request.json",
    ]


def test_a_part_of_another_request_is_cleared_away(folder, tmp_path):
    raster = write(tmp_path / "other.tif", painted(256, 256, seed=1))
    other = index(str(raster), ColourEncoder(size=32), IndexOptions(tile_px=32)).index
    part = next(folder.glob("part-*"))
    part.write_bytes((other / part.name).read_bytes())
    prepare(folder, read_meta(folder), "auto")
    assert not part.exists()
    assert not (folder / "meta.json").exists()
