"""The command line as a contract: what it prints, where, and its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import rasterio
from rs_text_search_plugin.models import registry

from rs_text_search_plugin.engine.__main__ import main
from rs_text_search_plugin.engine.cli import argument_types, arguments
from tests.engine.fakes import ColourEncoder, RednessReranker, write_scene

Captured = pytest.CaptureFixture[str]

ROOT = Path(__file__).parents[3]
TILE = ["--tile-px", "32"]
SHA256_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # pragma: allowlist secret


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> ColourEncoder:
    """The encoder that every model name stands for."""
    encoder = ColourEncoder()
    monkeypatch.setattr(registry, "load", lambda name="compact", device="auto": encoder)
    return encoder


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_scene(tmp_path / "scene.tif")


@pytest.fixture
def index(scene: Path, capsys: Captured) -> str:
    assert main(["index", str(scene), *TILE]) == 0
    capsys.readouterr()
    return str(scene) + ".rsidx"


def answer(capsys: Captured, *argv: object, code: int = 0) -> dict[str, Any]:
    """Runs a command with --json and reads its one object."""
    assert main([*map(str, argv), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def text(capsys: Captured, *argv: object) -> str:
    assert main([*map(str, argv)]) == 0
    return capsys.readouterr().out


def refusal(capsys: Captured, *argv: object) -> list[str]:
    """Runs a command that fails and returns its two lines."""
    assert main([*map(str, argv)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 2
    assert "Traceback" not in said.err
    return lines


# ---- index ----


def test_index_then_search_finds_the_red_square(scene: Path, capsys: Captured) -> None:
    made = answer(capsys, "index", scene, *TILE)
    assert (made["tiles"], made["complete"], made["empty"], made["unreadable"]) == (64, True, 0, [])
    assert made["index"] == f"{scene}.rsidx"
    found = answer(capsys, "search", made["index"], "red", "--top", 3)
    best = found["matches"][0]
    assert (best["row"], best["col"], best["window"]) == (1, 2, [64, 32, 32, 32])
    assert best["corners"][0] == [500_032, 4_999_984]
    assert found["tiles"] == 64
    assert len(found["matches"]) <= 3


def test_index_for_people_names_folder_count_and_device(scene: Path, capsys: Captured) -> None:
    said = text(capsys, "index", scene, *TILE, "--device", "cpu")
    assert said.startswith(f"{scene}.rsidx: 64 tiles in ")
    assert "CPU" in said


def test_index_again_finds_everything_done(scene: Path, index: str, capsys: Captured) -> None:
    assert answer(capsys, "index", scene, *TILE)["resumed"] == 64


def test_index_takes_several_rasters_and_goes_on_after_a_bad_one(
    scene: Path, tmp_path: Path, capsys: Captured
) -> None:
    other = write_scene(tmp_path / "other.tif")
    bad = tmp_path / "bad.tif"
    bad.write_text("no raster")
    report = answer(capsys, "index", scene, bad, other, *TILE, "--out", tmp_path / "made", code=1)
    assert [one["tiles"] for one in report["indexes"]] == [64, 64]
    assert [one["source"] for one in report["errors"]] == [str(bad)]
    folders = [one["index"] for one in report["indexes"]]
    assert folders == [str(tmp_path / "made" / name) for name in ("scene.tif.rsidx", "other.tif.rsidx")]
    found = answer(capsys, "search", *folders, "red", "--top", 2)
    assert {match["index"] for match in found["matches"]} == set(folders)


def test_index_only_an_area(scene: Path, capsys: Captured) -> None:
    # the raster spans 3.0 to about 3.00163 degrees east; the area is its western part
    made = answer(capsys, "index", scene, *TILE, "--area", "2.9,45,3.0003,46")
    assert 0 < made["tiles"] < 64


# ---- search ----


def test_search_in_an_area_given_as_a_file(index: str, tmp_path: Path, capsys: Captured) -> None:
    west, north = 500_000, 5_000_000
    ring = [[west + x, north - y] for x, y in ((1, 1), (30, 1), (30, 30), (1, 30), (1, 1))]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32631"}}
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    file = tmp_path / "area.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    assert answer(capsys, "search", index, "green", "--area", file)["tiles"] == 4


def test_an_area_may_be_the_world_or_elsewhere(index: str, capsys: Captured) -> None:
    assert answer(capsys, "search", index, "red", "--area", "-180,-90,180,90")["tiles"] == 64
    nothing = answer(capsys, "search", index, "red", "--area", "-20,50,-19,51")
    assert (nothing["matches"], nothing["verdict"]) == ([], "No indexed tile lies in this area.")


def test_search_takes_a_raster_for_its_index(scene: Path, index: str, capsys: Captured) -> None:
    assert answer(capsys, "search", scene, "red")["sources"][0]["index"] == index


def test_search_words_may_stand_around_options(index: str, capsys: Captured) -> None:
    assert answer(capsys, "search", index, "--top", "1", "blue")["query"] == "blue"


def test_search_by_example_alone(index: str, capsys: Captured) -> None:
    found = answer(capsys, "search", index, "--like", "37", "--unlike", "0")
    assert found["query"] == "[1 like, 1 unlike]"
    assert {match["id"] for match in found["matches"][:2]} == {37, 38}


def test_search_without(index: str, capsys: Captured) -> None:
    found = answer(capsys, "search", index, "blue", "--without", "red")
    assert found["query"] == "blue without red"


def test_search_writes_matches_and_heat(index: str, tmp_path: Path, capsys: Captured) -> None:
    file, heat = tmp_path / "red.geojson", tmp_path / "heat.tif"
    found = answer(capsys, "search", index, "red", "--top", 1, "--out", file, "--heat", heat)
    assert found["export"]["features"] == len(json.loads(file.read_text())["features"]) == 1
    with rasterio.open(heat) as raster:
        assert raster.crs.to_epsg() == 32631
        assert raster.read(1).argmax() == 1 * 8 + 2


@pytest.mark.parametrize("place", [1, 2, 3], ids=["before the index", "before the text", "at the end"])
@pytest.mark.parametrize("named", [[], ["mtgfe"]], ids=["default", "named"])
def test_rerank_may_stand_anywhere(
    index: str, place: int, named: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    asked = []
    monkeypatch.setattr(registry, "load_reranker", lambda name: asked.append(name) or RednessReranker())
    words = ["search", index, "red"]
    found = answer(capsys, *words[:place], "--rerank", *named, *words[place:])
    assert (found["query"], found["reranked"], asked) == ("red", True, ["mtgfe"])


def test_search_for_people_is_a_verdict_and_a_table(index: str, capsys: Captured) -> None:
    said = text(capsys, "search", index, "red", "--top", 30).splitlines()
    assert said[0].startswith("“red”: ")
    assert said[1].split() == ["rank", "score", "tile", "centre"]
    assert said[2].split()[0::2] == ["1", "10", "4999976.0"]
    assert said[-1] == "10 more with --json or --out FILE"


def test_an_unfinished_index_is_searched_as_far_as_it_goes(index: str, capsys: Captured) -> None:
    Path(index, "meta.json").unlink()
    assert answer(capsys, "info", index)["indexes"][0]["state"] == "unfinished"
    assert answer(capsys, "search", index, "red", "--top", 1)["matches"][0]["id"] == 10


# ---- the other commands ----


def test_describe_a_place_in_another_crs(index: str, capsys: Captured) -> None:
    here = answer(capsys, "describe", index, "--at", "500040,4999976")
    there = answer(capsys, "describe", index, "--at", "3.000508,45.153271", "--crs", "EPSG:4326")
    assert here["id"] == there["id"] == 10
    assert here["sentence"]
    assert text(capsys, "describe", index, "--at", "500040,4999976").startswith(here["sentence"])


def test_export_writes_every_tile(index: str, tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "tiles.geojson"
    assert answer(capsys, "export", index, file)["features"] == 64
    assert len(json.loads(file.read_text())["features"]) == 64


def test_info(scene: Path, index: str, capsys: Captured) -> None:
    state = answer(capsys, "info", index)["indexes"][0]
    assert (state["state"], state["tiles"], state["tiles_planned"]) == ("complete", 64, 64)
    assert "64 of 64" in text(capsys, "info", scene)


def test_info_of_a_raster_without_index(scene: Path, capsys: Captured) -> None:
    assert answer(capsys, "info", scene)["indexes"][0]["state"] == "none"
    assert text(capsys, "info", scene) == f"{scene}: none (not indexed)\n"


def test_models(capsys: Captured) -> None:
    names = [model["name"] for model in answer(capsys, "models")["models"]]
    assert names[:5] == ["compact", "galr", "mtgfe", "dove", "mgrm_el"]
    assert "compact" in text(capsys, "models")


def test_models_install_takes_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    entry = {**registry.entries()["mtgfe"], "file": "new.safetensors", "bytes": 3, "sha256": SHA256_ABC}
    monkeypatch.setattr(registry, "entries", lambda: {"new": entry})
    monkeypatch.setenv("RS_TEXT_SEARCH_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "new.safetensors"
    file.write_text("abd")
    assert "not the file we know" in refusal(capsys, "models", "--install", "new", "--from", file)[0]
    assert "no public address" in refusal(capsys, "models", "--install", "new")[1]
    assert "--from FILE" in text(capsys, "models")
    file.write_text("abc")
    assert answer(capsys, "models", "--install", "new", "--from", file)["models"][0]["installed"]
    assert "--from FILE" not in text(capsys, "models")


def test_doctor_tries_every_package(colours: ColourEncoder, capsys: Captured) -> None:
    report = answer(capsys, "doctor")
    assert report["ok"]
    tried = {check["name"] for check in report["checks"]}
    assert {"torch", "rasterio", "shapely", "faiss", "pyarrow", "pyogrio", "model"} <= tried


def test_doctor_tells_what_is_broken(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setitem(sys.modules, "shapely", None)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out.splitlines()
    broken = next(i for i, line in enumerate(said) if line.startswith("FAIL"))
    assert "shapely" in said[broken]
    assert "pip install --force-reinstall shapely" in said[broken + 1]


# ---- errors ----


@pytest.mark.parametrize(
    "argv",
    [
        ["index", "/nowhere/a.tif"],
        ["search", "/nowhere/a.rsidx", "tanks"],
        ["describe", "/nowhere/a.rsidx", "--at", "1,2"],
        ["export", "/nowhere/a.rsidx", "/nowhere/b.shp"],
        ["info", "/nowhere/a.rsidx"],
    ],
    ids=lambda argv: argv[0],
)
def test_a_missing_file_is_two_lines(argv: list[str], capsys: Captured) -> None:
    what, remedy = refusal(capsys, *argv)
    assert "/nowhere/" in what
    assert remedy


def test_a_bad_raster_is_told_before_a_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(registry, "load", lambda *_: pytest.fail("loaded"))
    refusal(capsys, "index", tmp_path / "none.tif")


def test_errors_of_an_index(index: str, tmp_path: Path, capsys: Captured) -> None:
    assert "0, 0" in refusal(capsys, "describe", index, "--at", "0,0")[0]
    assert "abc" in refusal(capsys, "describe", index, "--at", "0,0", "--crs", "abc")[0]
    refusal(capsys, "search", index, "  ")
    refusal(capsys, "search", index, "red", "--like", "2:0")
    refusal(capsys, "search", index, "red", "--like", "999")
    refusal(capsys, "search", index, "red", "--out", tmp_path / "a.doc")
    refusal(capsys, "search", index, index, "red", "--heat", tmp_path / "heat.tif")


def test_an_error_as_json_is_an_object_too(capsys: Captured) -> None:
    error = answer(capsys, "search", "/nowhere", "red", code=1)["error"]
    assert (error["kind"], bool(error["hint"])) == ("IndexStoreError", True)


def test_a_bug_is_two_lines_and_a_traceback_only_on_demand(
    index: str, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(ColourEncoder, "texts", lambda self, texts: 1 / 0)
    assert "ZeroDivisionError" in refusal(capsys, "search", index, "red")[0]
    assert main(["search", index, "red", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("RS_TEXT_SEARCH_DEBUG", "1")
    assert main(["search", index, "red"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["fly"],
        ["index"],
        ["index", "a.tif", "--overlap", "1"],
        ["index", "a.tif", "--tile-px", "0"],
        ["index", "a.tif", "--tile-px", "64", "--tile-m", "10"],
        ["index", "a.tif", "--resume", "--restart"],
        ["index", "a.tif", "--bands", "1,2"],
        ["index", "a.tif", "--bands", "0,1,2"],
        ["index", "a.tif", "--device", "gpu"],
        ["index", "a.tif", "--area", "1,2,3"],
        ["index", "a.tif", "--area", "3,50,4,20"],
        ["index", "a.tif", "--area", "{}"],
        ["index", "a.tif", "--area", "[]"],
        ["index", "a.tif", "--area", '{"type": "FeatureCollection"}'],
        ["index", "a.tif", "--area", '{"type": "Point", "coordinates": [1, 2]}'],
        ["search", "a.rsidx"],
        ["search", "a.rsidx", "red", "--min-score", "101"],
        ["search", "a.rsidx", "red", "--min-score", "nan"],
        ["search", "a.rsidx", "red", "--top", "0"],
        ["search", "a.rsidx", "red", "--like", "x"],
        ["search", "a.rsidx", "red", "--colour", "blue"],
        ["describe", "a.rsidx"],
        ["describe", "a.rsidx", "--at", "1"],
        ["export", "a.rsidx"],
        ["export", "a.rsidx", "b.shp", "c.shp"],
        ["evaluate", "compact"],
        ["evaluate", "compact", "--data", "a", "--task", "guess"],
    ],
    ids=" ".join,
)
def test_a_bad_call_is_exit_code_2(argv: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv)
    assert left.value.code == 2
    assert "usage:" in capsys.readouterr().err


# ---- reading arguments ----


def test_an_area_west_of_greenwich_is_no_option() -> None:
    args = arguments.parse(["search", "a", "red", "--area", "-3.5,50,-3,51"])
    geometry, crs = args.area
    assert crs == "EPSG:4326"
    assert geometry["coordinates"][0][0][0] == (-3.5, 50.0)
    assert arguments.parse(["describe", "a", "--at", "-.5,-7"]).at == (-0.5, -7.0)


def test_an_area_across_the_date_line_is_two_boxes() -> None:
    geometry, _ = argument_types.area("179,-18,-179,-17")
    spans = [(ring[0][0][0], ring[0][1][0]) for ring in geometry["coordinates"]]
    assert spans == [(179.0, 180.0), (-180.0, -179.0)]


def test_marks_may_name_an_index() -> None:
    assert argument_types.marks("17,2:40") == [(1, 17), (2, 40)]


# ---- whole processes ----


def fake(*argv: object, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.engine.serve_fake", *map(str, argv)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, **options)


def test_json_stays_clean_when_a_library_prints(scene: Path) -> None:
    run = fake("index", scene, *TILE, "--json")
    out, err = run.communicate(timeout=60)
    assert json.loads(out)["tiles"] == 64
    assert "a library prints" in err


def test_help_and_bad_calls_do_not_wait_for_heavy_packages() -> None:
    code = (
        "import sys\n"
        "from rs_text_search_plugin.engine.__main__ import main\n"
        "try:\n    main(['index'])\n"
        "except SystemExit:\n    print(sorted({'numpy', 'torch', 'rasterio'} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


EARLY = """
import builtins, os, signal, sys
imported = builtins.__import__
def interrupted(name, *args, **named):
    if name == "numpy":
        builtins.__import__ = imported
        os.kill(os.getpid(), signal.SIGINT)
    return imported(name, *args, **named)
builtins.__import__ = interrupted
from rs_text_search_plugin.engine.__main__ import main
sys.argv = ["rs-text-search", "info", "nothing.tif"]
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_while_packages_load_shows_no_traceback() -> None:
    command = [sys.executable, "-c", EARLY]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "Stopped.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", side=2048)
    run = fake("index", scene, *TILE, env={**os.environ, "FAKE_SLOW_S": "0.05"})
    parts = Path(f"{scene}.rsidx")
    deadline = time.monotonic() + 60
    while not list(parts.glob("part-*.parquet")) and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in err
    assert list(parts.glob("part-*.parquet"))
    assert not (parts / "meta.json").exists()
