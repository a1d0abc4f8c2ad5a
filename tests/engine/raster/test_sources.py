from __future__ import annotations

import os

import pytest

from rs_text_search_plugin.engine.raster import sources
from rs_text_search_plugin.engine.raster.sources import (
    absolute,
    file_facts,
    gdal_options,
    is_named,
    is_remote,
)


@pytest.mark.parametrize(
    "source", ["https://example.org/a.tif", "s3://bucket/a.tif", "/vsicurl/https://example.org/a.tif"]
)
def test_urls_are_remote_and_keep_their_name(source):
    assert is_remote(source)
    assert is_named(source)
    assert absolute(source) == source
    assert gdal_options(source)["GDAL_HTTP_VERSION"] == "2"


def test_a_part_of_a_file_is_named_but_not_remote():
    assert is_named("GPKG:map.gpkg:photo")
    assert not is_remote("GPKG:map.gpkg:photo")
    assert "GDAL_HTTP_VERSION" not in gdal_options("GPKG:map.gpkg:photo")


@pytest.mark.parametrize("source", ["scene.tif", "a folder/scene.tif", r"C:\images\scene.tif"])
def test_paths_are_not_named(source):
    assert not is_named(source)


def test_a_file_with_a_colon_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "north:south.tif").write_bytes(b"")
    assert not is_named("north:south.tif")
    assert absolute("north:south.tif") == str(tmp_path / "north:south.tif")


def test_the_digest_tells_contents_apart_not_dates(tmp_path):
    file = tmp_path / "a.tif"
    file.write_bytes(b"one")
    size, _, digest = file_facts(str(file))
    os.utime(file, (1, 1))
    assert file_facts(str(file)) == (3, 1.0, digest)
    file.write_bytes(b"two")
    assert (file_facts(str(file))[0], file_facts(str(file))[2] == digest) == (size, False)


def test_of_a_large_file_both_ends_count(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "WHOLE_BYTES", 1_000_000)
    file, digests = tmp_path / "a.tif", set()
    for spoiled in (None, 0, -1):
        data = bytearray(2_000_000)
        if spoiled is not None:
            data[spoiled] = 1
        file.write_bytes(data)
        os.utime(file, (1, 1 if spoiled is None else spoiled + 5))
        digests.add(file_facts(str(file))[2])
    assert len(digests) == 3


@pytest.mark.parametrize("source", ["/nowhere/a.tif", "https://example.org/a.tif"])
def test_what_is_no_file_has_no_facts(source):
    assert file_facts(source) == (0, 0.0, "")
