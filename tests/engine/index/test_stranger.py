"""An index folder from a stranger: nothing outside it is written, nothing it names is contacted, nothing takes all
memory."""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rs_text_search_plugin.contracts.errors import IndexStoreError, ModelError, RasterError
from rs_text_search_plugin.engine.index import store
from rs_text_search_plugin.engine.index.meta import read_meta, write_json
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.output.thumbnails import thumbnails
from rs_text_search_plugin.engine.service.session import Session
from tests.engine.fakes import ColourEncoder
from tests.engine.rasters import painted, write

TILE = IndexOptions(tile_px=32)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX links and modes")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RS_TEXT_SEARCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def raster(tmp_path):
    return write(tmp_path / "scene.tif", painted(256, 256))


@pytest.fixture
def folder(raster):
    return index(str(raster), ColourEncoder(size=32), TILE).index


@POSIX
@pytest.mark.parametrize(
    "name",
    [
        ".holder",
        "request.part",
        "meta.part",
        "part-00000.part",
        "request.json",
        "meta.json",
        "part-00000.parquet",
        ".unfinished-00-meta.json",
    ],
)
def test_links_in_the_folder_are_never_written_through(tmp_path, raster, name):
    folder, precious = tmp_path / "scene.tif.rsidx", tmp_path / "precious"
    folder.mkdir()
    precious.write_text("kept")
    (folder / name).symlink_to(precious)
    index(str(raster), ColourEncoder(size=32), replace(TILE, mode="restart"))
    assert precious.read_text() == "kept"


@POSIX
def test_a_link_in_place_of_the_lock_is_refused(tmp_path, raster):
    folder, precious = tmp_path / "scene.tif.rsidx", tmp_path / "precious"
    folder.mkdir()
    precious.write_text("kept")
    (folder / ".lock").symlink_to(precious)
    with pytest.raises(IndexStoreError, match="cannot be written"):
        index(str(raster), ColourEncoder(size=32), TILE)
    assert precious.read_text() == "kept"


@POSIX
def test_indexes_are_private(folder):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    store.open_index(folder).vectors.sum()
    files = [file for file in folder.iterdir() if file.name != ".lock"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert any(file.name.startswith("vectors-") for file in files)


def change(folder, **values):
    """As a stranger would: with a checksum that is right."""
    write_json(folder / "meta.json", replace(read_meta(folder), **values))


@pytest.mark.parametrize("source", ["https://example.org/a.tif", "/vsicurl/http://127.0.0.1:9/a.tif"])
def test_an_address_in_the_record_is_not_opened(folder, tmp_path, source):
    (tmp_path / "scene.tif").unlink()
    change(folder, source=source)
    with pytest.raises(RasterError, match="not indexed from here"):
        thumbnails(store.open_index(folder), [0], 32, tmp_path)


@pytest.mark.parametrize(
    "crs", ["https://example.org/crs.wkt", "/vsicurl/http://127.0.0.1:9/a.prj", "+init=a:b"]
)
def test_a_crs_is_wkt_or_a_code_and_never_an_address(folder, crs):
    change(folder, crs=crs)
    with pytest.raises(IndexStoreError, match="CRS"):
        store.open_index(folder)


def test_a_model_is_looked_up_by_name_only(folder, tmp_path):
    (tmp_path / "evil.toml").write_text('kind = "clip"\ntitle = "x"\nfile = "x.pt"\ndim = 16\nsize_px = 32\n')
    change(folder, model="evil")
    with Session() as session, pytest.raises(ModelError, match="no model"):
        session.encoder_of([store.open_index(folder)])
    for name in (str(tmp_path / "evil"), "evil.toml", "../evil"):
        change(folder, model=name)
        with pytest.raises(IndexStoreError, match="model"):
            store.open_index(folder)
        (folder / "meta.json").unlink()


def test_a_small_part_with_a_million_rows_is_refused_before_it_is_read(folder, monkeypatch):
    part = folder / "part-00000.parquet"
    count = 1_000_000
    zeros = pa.array(np.zeros(count * 16, np.float16))
    table = pa.table(
        {
            "id": pa.array(np.zeros(count, np.int64)),
            "embedding": pa.FixedSizeListArray.from_arrays(zeros, 16),
        }
    )
    pq.write_table(table.replace_schema_metadata(pq.read_schema(part).metadata), part, compression="zstd")
    assert part.stat().st_size < 100_000
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    with pytest.raises(IndexStoreError, match="1,000,000 rows, and the part 64 tiles"):
        assert len(store.open_index(folder).ids)


def test_a_part_with_longer_vectors_is_refused_before_it_is_read(folder, monkeypatch):
    part = folder / "part-00000.parquet"
    halves = pa.array(np.zeros(64 * 5000, np.float16))
    table = pa.table(
        {
            "id": pa.array(np.arange(64)),
            "embedding": pa.FixedSizeListArray.from_arrays(halves, 5000),
        }
    )
    pq.write_table(table.replace_schema_metadata(pq.read_schema(part).metadata), part)
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    with pytest.raises(IndexStoreError, match="16 numbers"):
        assert len(store.open_index(folder).ids)


@POSIX
def test_a_pipe_in_place_of_a_file_does_not_hang(folder):
    for name in ("part-00000.parquet", "meta.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
    found = store.open_index(folder)  # of request.json
    with pytest.raises(IndexStoreError):
        assert len(found.ids) < 0


def test_a_record_tells_no_more_than_it_must(folder):
    """Nothing of the person's machine but where the raster lies."""
    assert set(json.loads((folder / "meta.json").read_text("utf-8"))) == {
        *vars(read_meta(folder)),
        "checksum",
    } - {"tiling"}
