"""A complete index stays until its successor is complete too."""

from __future__ import annotations

import pytest

from rs_text_search_plugin.contracts.errors import Cancelled
from rs_text_search_plugin.engine.index import replacement, store
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from tests.engine.fakes import ColourEncoder
from tests.engine.rasters import painted, write

ANEW = IndexOptions(tile_px=64, mode="restart")


@pytest.fixture
def encoder():
    return ColourEncoder(size=32)


@pytest.fixture
def raster(tmp_path):
    return write(tmp_path / "scene.tif", painted(512, 512))


@pytest.fixture
def folder(raster, encoder):
    return index(str(raster), encoder, IndexOptions(tile_px=32)).index


def tile_width(folder):
    opened = store.open_index(folder)
    return opened.meta.lattice.tile_w if opened.meta.complete else None


def cancel_after(calls):
    left = iter(range(calls))
    return lambda: next(left, None) is None


def test_the_old_index_answers_while_the_new_one_is_made(folder, raster, encoder):
    seen = []
    index(str(raster), encoder, ANEW, lambda done, total: seen.append(tile_width(folder)))
    assert set(seen) == {32}
    assert tile_width(folder) == 64
    assert not (folder / replacement.NEW).exists()


def test_cancelled_the_old_index_stays(folder, raster, encoder):
    with pytest.raises(Cancelled):
        index(str(raster), encoder, ANEW, cancelled=cancel_after(0))
    assert tile_width(folder) == 32
    index(str(raster), encoder, ANEW)
    assert tile_width(folder) == 64


def test_a_crash_while_files_change_places_is_mended(folder, raster, encoder, monkeypatch):
    moved = []

    def die(file, target):
        if len(moved) == 2:
            raise KeyboardInterrupt
        moved.append(file)
        file.rename(target)

    with monkeypatch.context() as patch:
        patch.setattr(
            "pathlib.Path.replace",
            lambda file, target: (
                die(file, target)
                if file.parent.name == replacement.NEW and target.parent == folder
                else file.rename(target)
            ),
        )
        with pytest.raises(KeyboardInterrupt):
            index(str(raster), encoder, ANEW)
    replacement.finish(folder)
    assert tile_width(folder) == 64
    assert not (folder / replacement.NEW).exists()
