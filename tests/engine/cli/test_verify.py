"""`rs-text-search verify`: what is wrong with an index, in words and as JSON; exit code 1 when anything is."""

from __future__ import annotations

import json

import pytest

from rs_text_search_plugin.engine.__main__ import main
from rs_text_search_plugin.engine.index.planner import IndexOptions, index
from tests.engine.fakes import ColourEncoder
from tests.engine.rasters import painted, write


@pytest.fixture
def folder(tmp_path):
    raster = write(tmp_path / "scene.tif", painted(256, 256))
    return index(str(raster), ColourEncoder(size=32), IndexOptions(tile_px=32)).index


def test_a_whole_index(folder, capsys):
    assert main(["verify", str(folder), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], answer["tiles"], answer["problems"]) == (True, 64, [])


def test_a_raster_names_its_index(folder, capsys):
    assert main(["verify", str(folder.with_suffix(""))]) == 0
    assert "whole; 1 parts, 64 tiles" in capsys.readouterr().out


def test_a_damaged_index(folder, capsys):
    part = folder / "part-00000.parquet"
    data = bytearray(part.read_bytes())
    data[2000] ^= 1
    part.write_bytes(bytes(data))
    assert main(["verify", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "part-00000.parquet is damaged" in said
    assert "--resume" in said


def test_no_index(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 1
    assert "no index" in capsys.readouterr().err
