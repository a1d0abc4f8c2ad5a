"""The index folder: what is in it, who may use it, and what is said when it is not fit to be used."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely

from rs_text_search_plugin.contracts.errors import IndexMismatch, IndexStoreError
from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.index import store
from rs_text_search_plugin.engine.index.meta import read_meta
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.index.status import state
from rs_text_search_plugin.engine.search.search import Limits, search
from tests.engine.fakes import ColourEncoder
from tests.engine.rasters import painted, write

TILE = IndexOptions(tile_px=32)


@pytest.fixture
def encoder():
    return ColourEncoder(size=32)


@pytest.fixture
def raster(tmp_path):
    return write(tmp_path / "scene.tif", painted(512, 512))


@pytest.fixture
def folder(raster, encoder):
    return index(str(raster), encoder, TILE).index


def best(folder, encoder):
    """What a search finds: ids, scores, places."""
    found = search([store.open_index(folder)], encoder, Query(text="red"), Limits(top=20))
    return [(match.id, match.score, match.region, match.corners) for match in found.matches]


# ---- what is in it ----


def test_it_stands_beside_the_raster(folder, raster):
    assert folder == raster.with_name("scene.tif.rsidx")


def test_parts_are_geoparquet(folder):
    parts = sorted(folder.glob("part-*.parquet"))
    assert len(parts) == 4
    table = pq.read_table(parts[1])
    assert table.column_names == ["id", "row", "col", "level", "window", "geometry", "bbox", "embedding"]
    geo = json.loads(table.schema.metadata[b"geo"])["columns"]["geometry"]
    assert (geo["encoding"], geo["geometry_types"]) == ("WKB", ["Polygon"])
    assert geo["crs"]["id"] == {"authority": "EPSG", "code": 32631}
    shapes = shapely.from_wkb(table["geometry"].to_pylist())
    assert shapely.area(shapes).tolist() == [256.0] * 64
    assert geo["bbox"] == shapely.total_bounds(shapes).tolist()
    assert table["bbox"][0].as_py() == dict(
        zip(("xmin", "ymin", "xmax", "ymax"), shapes[0].bounds, strict=True)
    )
    assert table["id"].to_pylist() == list(range(64, 128))
    assert str(table.schema.field("embedding").type.value_type) == "halffloat"


def test_a_part_tells_what_its_vectors_are(folder, encoder):
    tags = pq.read_schema(folder / "part-00000.parquet").metadata
    emb = json.loads(tags[b"emb"])
    assert (emb["emb:dimensions"], emb["model"], emb["fingerprint"]) == (16, "colour", encoder.fingerprint)
    assert emb["emb:chip_layout"]["chip_size"] == [32, 32]


def test_a_raster_without_crs_has_none_in_its_parts(tmp_path, encoder):
    path = write(tmp_path / "a.tif", painted(), crs=None)
    part = index(str(path), encoder, TILE).index / "part-00000.parquet"
    assert json.loads(pq.read_schema(part).metadata[b"geo"])["columns"]["geometry"]["crs"] is None


def test_opened_it_is_rows_of_unit_length(folder):
    opened = store.open_index(folder)
    assert (len(opened.meta.tiling), opened.vectors.shape) == (256, (256, 16))
    assert np.allclose(np.linalg.norm(opened.vectors, axis=1), 1)
    assert opened.windows[17].tolist() == [32, 32, 32, 32]
    assert opened.corners(np.array([17]))[0, 0].tolist() == [500_016, 4_999_984]
    assert opened.position(200) == 200
    with pytest.raises(IndexStoreError, match="no tile 256"):
        opened.position(256)


def test_the_cache_may_be_deleted_or_damaged(folder, encoder):
    before = best(folder, encoder)
    (cache,) = folder.glob("vectors-*.npy")
    cache.write_bytes(cache.read_bytes()[:100])
    assert best(folder, encoder) == before
    cache.unlink()
    assert best(folder, encoder) == before
    assert cache.is_file()


# ---- moved, copied, read-only ----


def test_a_copy_is_searched_without_its_raster(folder, raster, encoder, tmp_path):
    before = best(folder, encoder)
    there = tmp_path / "colleague" / folder.name
    shutil.copytree(folder, there)
    raster.unlink()
    assert best(there, encoder) == before
    assert state(there)["state"] == "complete"


def test_raster_and_index_copied_together(folder, raster, encoder, tmp_path):
    there = tmp_path / "colleague"
    shutil.copytree(folder, there / folder.name)
    shutil.copyfile(raster, there / raster.name)
    raster.unlink()
    assert state(there / raster.name)["state"] == "complete"
    assert state(there / folder.name)["source"] == str(there / raster.name)
    assert index(str(there / raster.name), encoder, TILE).resumed == 256


def test_a_new_date_alone_is_no_change(folder, raster, encoder):
    os.utime(raster, (1, 1))
    store.open_index(folder).require(encoder.fingerprint)
    assert state(raster)["state"] == "complete"


@pytest.fixture
def sealed(monkeypatch, tmp_path):
    """Makes the system say that a folder is read-only, to root too; the user's cache is elsewhere."""
    monkeypatch.setenv("RS_TEXT_SEARCH_CACHE", str(tmp_path / "cache"))
    real = os.access

    def seal(folder):
        shut = Path(folder)
        monkeypatch.setattr(store.os, "access", lambda path, mode: Path(path) != shut and real(path, mode))

    return seal


def test_a_read_only_folder_sends_the_index_to_the_users_cache(raster, encoder, sealed, tmp_path):
    sealed(raster.parent)
    report = index(str(raster), encoder, TILE)
    assert (tmp_path / "cache") in report.index.parents
    assert state(raster)["state"] == "complete"
    assert state(raster)["index"] == str(report.index)
    assert not (tmp_path / "scene.tif.rsidx").exists()


def test_a_read_only_index_is_searched_without_a_cache(folder, encoder, sealed):
    sealed(folder)
    assert len(best(folder, encoder)) == 20
    assert not list(folder.glob("*.npy"))


def test_a_url_has_its_index_in_the_users_cache(sealed, tmp_path):
    folder = store.index_folder("https://example.org/data/scene.tif")
    assert (tmp_path / "cache") in folder.parents
    assert folder.name.endswith("scene.tif.rsidx")
    assert folder != store.index_folder("https://example.org/other/scene.tif")


# ---- not fit to be used ----


def test_no_index(tmp_path, raster):
    with pytest.raises(IndexStoreError, match="no index") as caught:
        store.open_index(tmp_path / "absent.rsidx")
    assert "index" in caught.value.hint
    assert state(raster)["state"] == "none"


def change(raster):
    write(raster, painted(512, 512, seed=1))
    os.utime(raster, (2, 2))


def test_a_changed_raster_is_noticed(folder, raster, encoder):
    change(raster)
    assert state(folder)["state"] == "stale"
    with pytest.raises(IndexMismatch, match="has changed") as caught:
        store.open_index(folder).require(encoder.fingerprint)
    assert "--restart" in caught.value.hint
    for mode in ("auto", "resume"):
        with pytest.raises(IndexMismatch, match="has changed"):
            index(str(raster), encoder, IndexOptions(tile_px=32, mode=mode))
    assert index(str(raster), encoder, IndexOptions(tile_px=32, mode="restart")).resumed == 0
    assert state(folder)["state"] == "complete"


def test_another_model_is_noticed(folder, raster, encoder):
    other = ColourEncoder(name="shape", size=32)
    with pytest.raises(IndexMismatch, match="another") as caught:
        store.open_index(folder).require(other.fingerprint)
    assert caught.value.hint
    with pytest.raises(IndexMismatch, match="another model, “colour”"):
        index(str(raster), other, TILE)
    assert state(raster, model="shape")["state"] == "other-model"
    assert len(best(folder, encoder)) == 20


def test_other_tiles_need_another_folder_or_a_restart(folder, raster, encoder):
    with pytest.raises(IndexMismatch, match="other tiles"):
        index(str(raster), encoder, IndexOptions(tile_px=64))
    index(str(raster), encoder, IndexOptions(tile_px=64, mode="restart"))
    assert store.open_index(folder).meta.lattice.tile_w == 64


def test_restart_leaves_a_persons_own_files(folder, raster, encoder):
    (folder / "notes.txt").write_text("mine")
    index(str(raster), encoder, IndexOptions(tile_px=64, mode="restart"))
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / "part-00003.parquet").exists()


@pytest.mark.parametrize("harm", ["cut", "zeros", "gone"])
def test_a_damaged_part_is_named_and_made_again(folder, raster, encoder, harm):
    before = store.read_vectors(folder, read_meta(folder))
    part = folder / "part-00002.parquet"
    content = part.read_bytes()
    if harm == "gone":
        part.unlink()
    else:
        part.write_bytes(content[:200] if harm == "cut" else bytes(len(content)))
    assert state(folder)["state"] == "damaged"
    with pytest.raises(IndexStoreError, match="part-00002") as caught:
        assert len(store.open_index(folder).vectors)
    assert "--resume" in caught.value.hint
    encoder.batches.clear()
    report = index(str(raster), encoder, IndexOptions(tile_px=32, mode="resume"))
    assert (report.resumed, sum(encoder.batches)) == (192, 64)
    after = store.read_vectors(folder, read_meta(folder))
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_damaged_meta_says_how_to_go_on(folder, raster, encoder):
    (folder / "meta.json").write_text("{")
    with pytest.raises(IndexStoreError, match=r"meta.json is damaged") as caught:
        store.open_index(folder)
    assert "--restart" in caught.value.hint
    assert state(folder)["state"] == "damaged"
    assert index(str(raster), encoder, IndexOptions(tile_px=32, mode="restart")).tiles == 256


def test_state_of_a_complete_index(folder, raster):
    found = state(raster, model="colour")
    assert (found["state"], found["tiles"], found["tiles_planned"]) == ("complete", 256, 256)
    assert (found["tile_px"], found["model"], found["index"]) == ([32, 32], "colour", str(folder))
    assert found["footprint"][2] == (500_256, 4_999_744)
    assert found["bytes"] > 256 * 32


def test_a_full_disk_is_said_and_what_is_done_is_kept(raster, encoder, monkeypatch):
    real, written = pq.write_table, []

    def write_table(table, out, **how):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(real(table, out, **how))

    monkeypatch.setattr(pq, "write_table", write_table)
    with pytest.raises(IndexStoreError, match="No space left") as caught:
        index(str(raster), encoder, TILE)
    assert "Make room" in caught.value.hint
    monkeypatch.undo()
    assert index(str(raster), encoder, TILE).resumed == 128


def test_a_folder_that_cannot_be_made_is_said(raster, encoder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(IndexStoreError, match="cannot be made") as caught:
        index(str(raster), encoder, IndexOptions(tile_px=32, out=tmp_path / "file" / "index"))
    assert "--out" in caught.value.hint
