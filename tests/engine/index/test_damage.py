"""Nothing that a disk lost, or somebody exchanged, is silently searched."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from rs_text_search_plugin.contracts.errors import IndexStoreError
from rs_text_search_plugin.engine.index import cache, store
from rs_text_search_plugin.engine.index.meta import read_meta
from rs_text_search_plugin.engine.index.part_reader import read_note, read_part
from rs_text_search_plugin.engine.index.parts import write_part
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from rs_text_search_plugin.engine.index.verify import verify
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


def flipped(file, bit):
    """The file's bytes with one bit turned."""
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


def opened(folder):
    found = store.open_index(folder)
    return found.ids.copy(), np.array(found.vectors)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_no_flipped_bit_of_a_part_changes_a_vector_unnoticed(folder):
    meta, part = read_meta(folder), folder / "part-00001.parquet"
    whole, before = part.read_bytes(), read_part(part, meta)
    noticed = 0
    for bit in np.random.default_rng(0).integers(0, len(whole) * 8, 300).tolist():
        part.write_bytes(flipped(part, bit))
        try:
            assert same(read_part(part, meta), before), f"bit {bit}"
        except IndexStoreError:
            noticed += 1
        part.write_bytes(whole)
    assert noticed > 50


def test_no_flipped_bit_of_a_cache_changes_a_vector_unnoticed(folder):
    before = opened(folder)
    rng = np.random.default_rng(0)
    for kind in ("ids", "vectors"):
        for _ in range(20):
            (file,) = folder.glob(f"{kind}-*.npy")
            file.write_bytes(flipped(file, int(rng.integers(0, file.stat().st_size * 8))))
            assert same(opened(folder), before)


def test_a_flipped_digit_of_the_record_is_noticed(folder):
    file = folder / "meta.json"
    text = file.read_text("utf-8")
    for old, new in (
        ('"size": ', '"size": 1'),
        ("scene.tif", "scenf.tif"),
        ('"parts": [\n  0,', '"parts": ['),
    ):
        assert old in text
        file.write_text(text.replace(old, new), "utf-8")
        with pytest.raises(IndexStoreError, match="checksum"):
            store.open_index(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_vectors_that_no_encoder_made_are_refused(folder, value):
    meta, part = read_meta(folder), folder / "part-00001.parquet"
    ids, vectors = read_part(part, meta)
    vectors[3] = value
    write_part(part, meta, ids, vectors, read_note(part))
    with pytest.raises(IndexStoreError, match="unit length") as caught:
        opened(folder)
    assert "--resume" in caught.value.hint


def test_a_part_copied_over_another_is_noticed_even_with_caches_in_place(folder):
    opened(folder)
    shutil.copy2(folder / "part-00000.parquet", folder / "part-00001.parquet")
    with pytest.raises(IndexStoreError, match="another part"):
        opened(folder)


def test_caches_are_made_again_when_a_part_is(folder):
    before = opened(folder)
    (old,) = folder.glob("vectors-*.npy")
    os.utime(folder / "part-00002.parquet", (1, 1))
    assert same(opened(folder), before)
    (new,) = folder.glob("vectors-*.npy")
    assert new.name != old.name


def test_a_cache_that_holds_other_tiles_is_not_used(folder):
    before, found = opened(folder), store.open_index(folder)
    wrong = before[1].copy()
    wrong[0] = np.nan
    cache.save_vectors(folder, found.stamp, before[0], wrong)
    assert same(opened(folder), before)


@pytest.mark.parametrize(("harm", "column"), [("flip", 5), ("flip", -1), ("exchange", 0), ("gone", 0)])
def test_verify_names_what_is_damaged_and_resume_mends_it(folder, raster, encoder, harm, column):
    """Also in the geometry (column 5), which only other programs read."""
    before, part = opened(folder), folder / "part-00001.parquet"
    if harm == "flip":
        group = pq.read_metadata(part).row_group(0)
        found = group.column(range(group.num_columns)[column])
        part.write_bytes(flipped(part, 8 * (found.data_page_offset + found.total_compressed_size // 2)))
    elif harm == "exchange":
        shutil.copy2(folder / "part-00003.parquet", part)
    else:
        part.unlink()
    report = verify(folder)
    assert not report.ok
    assert [problem.file for problem in report.problems] == [str(part)]
    assert report.tiles == 192
    encoder.batches.clear()
    index(str(raster), encoder, IndexOptions(tile_px=32, mode="resume"))
    assert sum(encoder.batches) == 64
    assert verify(folder).ok
    assert same(opened(folder), before)


def test_verify_finds_nothing_wrong_with_a_whole_index(folder):
    steps = []
    report = verify(folder, lambda done, total: steps.append((done, total)))
    assert (report.ok, report.parts, report.tiles, report.problems) == (True, 4, 256, ())
    assert steps[-1] == (4, 4)


def test_verify_says_that_an_index_is_unfinished(folder):
    (folder / "meta.json").unlink()
    (folder / "part-00003.parquet").unlink()
    report = verify(folder)
    assert not report.ok
    assert "192 of 256" in report.problems[0].message


def test_verify_of_a_record_that_cannot_be_read(folder):
    (folder / "meta.json").write_text(json.dumps({"source": None}))
    report = verify(folder)
    assert (report.ok, len(report.problems)) == (False, 1)
    assert "--restart" in report.hint


def test_left_over_files_of_a_killed_process_are_cleared(folder, raster, encoder):
    (folder / ".unfinished-12-part-00000.parquet").write_bytes(b"half")
    index(str(raster), encoder, TILE)
    assert not list(folder.glob(".unfinished-*"))
    assert (folder / "meta.json").is_file()
