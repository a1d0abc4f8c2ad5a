"""What is written for a person is whole or not there, and never replaces what it was made from."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import rasterio

from rs_text_search_plugin.contracts.errors import ExportError
from rs_text_search_plugin.contracts.operations.search import ExportedMatch
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.index.store import open_index
from rs_text_search_plugin.engine.output import rasters
from rs_text_search_plugin.engine.output.export import Found, export, export_index
from rs_text_search_plugin.engine.output.rasters import write_grid
from rs_text_search_plugin.engine.search.regions import write_heat
from tests.engine.fakes import ColourEncoder
from tests.engine.rasters import painted, write

AFFINE = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from rs_text_search_plugin.contracts.errors import SearchError
from rs_text_search_plugin.engine.index.store import open_index
from rs_text_search_plugin.engine.search.regions import write_heat
from rs_text_search_plugin.engine.search.search import search
from rs_text_search_plugin.contracts.messages import Query
from tests.engine.fakes import ColourEncoder
opened = open_index(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))  # every longer file fails as on a full disk
found = search([opened], ColourEncoder(size=32), Query(text="red"))
print(len(found.matches), "matches")
scores = np.random.default_rng(0).uniform(0, 100, len(opened.ids)).astype(np.float32)
try:
    print(write_heat(opened, scores, Path(sys.argv[2])))
except SearchError as error:
    print(error.message, "|", error.hint)
"""


@pytest.fixture
def opened(tmp_path):
    raster = write(tmp_path / "scene.tif", painted(1024, 1024))
    return open_index(index(str(raster), ColourEncoder(size=32), IndexOptions(tile_px=32)).index)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the size of files are POSIX's")
def test_on_a_full_disk_an_index_is_searched_and_heat_is_refused(opened, tmp_path):
    heat = tmp_path / "heat.tif"
    heat.write_bytes(b"that of yesterday")
    before = sorted(opened.folder.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", FULL, opened.folder, heat],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    matches, refused = done.stdout.splitlines()[-2:]
    assert int(matches.split()[0]) > 10
    assert "cannot be written" in refused
    assert refused.split("|")[1].strip()
    assert heat.read_bytes() == b"that of yesterday"
    assert sorted(opened.folder.iterdir()) == before
    assert not list(tmp_path.glob(".unfinished*"))


def test_heat_that_cannot_be_read_again_is_no_heat(tmp_path, monkeypatch):
    """GDAL may write less than it was given without a word."""
    monkeypatch.setattr(rasters, "_check", _fail)
    with pytest.raises(ExportError, match="cannot be read again"):
        write_grid(tmp_path / "a.tif", np.ones((4, 4), np.float32), AFFINE, None)
    assert list(tmp_path.iterdir()) == []


def _fail(file, grid):
    raise OSError("what was written cannot be read again")


def test_other_values_than_were_given_are_noticed(tmp_path):
    path = write_grid(tmp_path / "a.tif", np.ones((4, 4), np.float32), AFFINE, None)
    rasters._check(path, np.ones((4, 4), np.float32))
    with pytest.raises(OSError, match="read again"):
        rasters._check(path, np.zeros((4, 4), np.float32))


def test_heat_replaces_heat(tmp_path):
    for value in (1, 2):
        write_grid(tmp_path / "a.tif", np.full((4, 4), value, np.float32), AFFINE, None)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.read().tolist() == np.full((1, 4, 4), 2.0).tolist()


def test_the_searched_raster_is_never_written_over(opened, tmp_path):
    raster = tmp_path / "scene.tif"
    before, scores = raster.read_bytes(), np.zeros(len(opened.ids), np.float32)
    (tmp_path / "link.tif").symlink_to(raster)
    for name in (raster, tmp_path / "link.tif", tmp_path / "." / "scene.tif", opened.folder / "heat.tif"):
        with pytest.raises(ExportError, match="made from"):
            write_heat(opened, scores, name)
    assert raster.read_bytes() == before


def test_no_export_is_written_over_the_raster_or_into_the_index(opened, tmp_path):
    raster = tmp_path / "scene.gpkg"
    (tmp_path / "scene.tif").rename(raster)
    object.__setattr__(opened.meta, "source", str(raster))
    before, name = raster.read_bytes(), str(opened.folder)
    found = Found([ExportedMatch(name, 1)], {name: opened}, "q", "m")
    for path in (raster, opened.folder / "part-00000.parquet"):
        for call in (lambda path=path: export(path, found), lambda path=path: export_index(path, opened)):
            with pytest.raises(ExportError, match="made from"):
                call()
    assert raster.read_bytes() == before
