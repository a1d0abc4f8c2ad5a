from __future__ import annotations

import os
import stat
import sys

import pytest
from rs_text_search_plugin.models.files import cache_folder, make_private_folder, written_whole

POSIX_MODES = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps access lists instead")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_cache_lies_where_the_person_says(tmp_path, monkeypatch):
    monkeypatch.setenv("RS_TEXT_SEARCH_CACHE", str(tmp_path))
    assert cache_folder("weights") == tmp_path / "weights"


@pytest.mark.skipif(sys.platform != "linux", reason="the variable is Linux's")
def test_the_cache_lies_in_the_systems_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("RS_TEXT_SEARCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("indexes") == tmp_path / "rs-text-search" / "indexes"


@POSIX_MODES
def test_private_folders_are_private_all_the_way_down(tmp_path):
    make_private_folder(tmp_path / "a" / "b")
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o700, 0o700]


def test_a_file_is_replaced_only_when_its_successor_is_whole(tmp_path):
    file = tmp_path / "meta.json"
    file.write_text("old")
    with pytest.raises(IsADirectoryError), written_whole(file) as part:
        part.write_bytes(tmp_path.read_bytes())
    assert [path.name for path in tmp_path.iterdir()] == ["meta.json"]
    assert file.read_text() == "old"
    with written_whole(file) as part:
        part.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["meta.json"]


@POSIX_MODES
def test_a_private_file_can_be_read_by_its_owner_only(tmp_path):
    before = os.umask(0o022)
    try:
        for private in (True, False):
            with written_whole(tmp_path / f"{private}", private=private) as part:
                part.write_text("x")
    finally:
        os.umask(before)
    assert [mode(tmp_path / "True"), mode(tmp_path / "False")] == [0o600, 0o644]


@POSIX_MODES
def test_a_link_in_place_of_the_file_is_replaced_not_followed(tmp_path):
    target = tmp_path / "precious"
    target.write_text("kept")
    (tmp_path / "meta.json").symlink_to(target)
    with written_whole(tmp_path / "meta.json") as part:
        part.write_text("new")
    assert target.read_text() == "kept"
    assert (tmp_path / "meta.json").read_text() == "new"
