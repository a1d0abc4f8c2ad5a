"""A project with kept results, heat, a verdict and an area: saved, QGIS restarted, and everything is there."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Engine
from tests.e2e.desktop import Desktop, ScreenState, find, middle
from tests.e2e.profile import make_profile
from tests.e2e.test_desktop import WAY_TO_PANEL

KEPT_PHRASES = ("cars in a parking lot", "houses with gardens", "a sports field")
CURRENT = "a road with trees"
AREA = "Current view"
JUDGE = """
import sys
from qgis.core import QgsApplication, QgsProject
app = QgsApplication([], False)
app.initQgis()
from rs_text_search_plugin.map.verdict_marks import put_verdict
from rs_text_search_plugin.results_store.store import ResultStore
from rs_text_search_plugin.results_store.verdicts import Judgement, Verdict
QgsProject.instance().read(sys.argv[1])
store = ResultStore()
stored = store.kept[0]
best = stored.result["matches"][0]
place = stored.result["query"], best["index"], best["id"]
put_verdict(store, Verdict(*place, Judgement.KEEP, best["score"], stored.made))
print(len(store.kept), store.current.title, *[file.name for file in store.heat_files(store.current)])
"""
"""Gives the best match of the first kept result a verdict, in another process; prints what is stored."""


@pytest.fixture
def desktops(kept: Path) -> Iterator[list[Desktop]]:
    """Every QGIS that the test starts, one after the other."""
    started: list[Desktop] = []
    yield started
    for desktop in started:
        desktop.stop()


def start(desktops: list[Desktop], folder: Path, file: Path, home: dict[str, str]) -> Desktop:
    for desktop in desktops:
        desktop.stop()
    desktops.append(Desktop(folder))
    desktops[-1].report.unlink(missing_ok=True)
    desktops[-1].start(file, env=home)
    return desktops[-1]


def layers(seen: ScreenState) -> dict[str, int | None]:
    return {layer["name"]: layer["features"] for layer in seen["layers"]}


def search(desktop: Desktop, phrase: str) -> None:
    desktop.press("Search for")
    desktop.key("ctrl+a")
    desktop.type(phrase)
    desktop.key("Return")
    desktop.wait(lambda seen: layers(seen).get(phrase), f"matches of “{phrase}”")


def box(seen: ScreenState, name: str) -> dict | None:
    return next((w for w in seen["widgets"] if (w["kind"], w["name"]) == ("QComboBox", name)), None)


def choose_view(desktop: Desktop) -> None:
    desktop.click(*middle(desktop.wait(lambda seen: box(seen, "Where to search"), "areas")["rect"]))
    desktop.type("Cur")
    desktop.key("Return")
    desktop.wait(lambda seen: box(seen, "Where to search")["text"] == AREA, AREA)


def save_as(desktop: Desktop, project: Path) -> None:
    desktop.key("ctrl+shift+s")
    desktop.wait(lambda seen: find(seen["widgets"], "Save Project As", enabled=False), "file dialog")
    desktop.key("ctrl+a")
    desktop.type(str(project))
    desktop.key("Return")
    desktop.wait(lambda seen: project.exists(), "project's file")


def text_of(seen: ScreenState, name: str) -> str:
    return "\n".join(widget["text"] for widget in seen["widgets"] if widget["name"] == name)


def kept_phrases(seen: ScreenState) -> list[str]:
    return [line.partition("\t")[0] for line in text_of(seen, "Kept results").splitlines()]


@pytest.mark.timeout(900)
def test_a_saved_project_brings_everything_back(
    desktops: list[Desktop],
    kept: Path,
    own_scene: Path,
    engine: Engine,
    quiet_home: dict[str, str],
) -> None:
    engine("index", own_scene)
    make_profile(kept)
    desktop = start(desktops, kept, own_scene, quiet_home)
    desktop.choose(*WAY_TO_PANEL)
    for phrase in KEPT_PHRASES:
        search(desktop, phrase)
        desktop.wait(lambda seen: not seen["canvas"]["drawing"], "map")
        desktop.press("Keep this result")
        desktop.wait(lambda seen, phrase=phrase: phrase in text_of(seen, "Kept results"), "kept result")
    choose_view(desktop)
    search(desktop, CURRENT)
    desktop.press("Show all scores as a transparent layer")
    desktop.wait(lambda seen: "Heat" in layers(seen), "heat")
    desktop.screenshot("before")
    project = own_scene.parent / "harbour.qgz"
    save_as(desktop, project)
    desktop.wait(lambda seen: project.with_name("harbour_text_search.gpkg").exists(), "GeoPackage")
    saved = layers(desktop.state())
    desktop.stop()

    judged = subprocess.run(
        ["/usr/bin/python3", "-c", JUDGE, str(project)],
        cwd=ROOT,
        env={**quiet_home, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.stdout.startswith(f"3 {CURRENT} harbour_text_search_"), judged.stderr

    desktop = start(desktops, kept, project, quiet_home)
    desktop.choose(*WAY_TO_PANEL)
    desktop.wait(lambda seen: text_of(seen, "Search for") == CURRENT, "query")
    desktop.wait(lambda seen: not seen["canvas"]["drawing"], "map")
    desktop.wait(lambda seen: kept_phrases(seen) == list(KEPT_PHRASES), "kept results")
    time.sleep(5)  # thumbnails cannot be read off the screen; the picture is to have them
    seen = desktop.state()
    desktop.screenshot("after")
    assert layers(seen) == saved
    assert box(seen, "Where to search")["text"] == AREA
    assert saved["Heat"] is None
    assert all(saved[phrase] for phrase in (*KEPT_PHRASES, CURRENT))

    shutil.rmtree(kept / "profiles")
    make_profile(kept)
    shutil.rmtree(kept / "profiles" / "test" / "python" / "plugins" / "rs_text_search_plugin")
    desktop = start(desktops, kept, project, quiet_home)
    desktop.wait(lambda seen: not seen["canvas"]["drawing"], "map")
    desktop.screenshot("without-plugin")
    assert layers(desktop.state()) == saved
