"""A person at a real QGIS: index, search, highlight, describe, export. Screenshots stay in build/e2e."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyogrio import read_info

from tests.demo.truth import truth
from tests.e2e.desktop import PATIENCE_S, Desktop, ScreenState, find, middle
from tests.e2e.profile import make_profile

WAY_TO_PANEL = ["Raster", "RS Text Search", "Text Search"]
PHRASE = "cars in a parking lot"


@pytest.fixture
def desktop(kept: Path) -> Iterator[Desktop]:
    desktop = Desktop(kept)
    yield desktop
    desktop.stop()


def open_panel(desktop: Desktop, scene: Path, home: dict[str, str], linked: bool = True) -> None:
    """QGIS with a scene and the search panel."""
    make_profile(desktop.folder, linked=linked)
    desktop.start(scene, env=home)
    desktop.choose(*WAY_TO_PANEL)


SYSTEMS = {
    "GaLR": "a parking lot with many cars",
    "DOVE": "many cars in a car park",
    "MGRM-EL": "parked cars in rows",
    "MTGFE": "cars parked in rows",
}
"""The published systems, and what is asked of each: other words each time, so that no answer is mistaken for
the one before."""


def highlights(seen: ScreenState, phrase: str = PHRASE) -> int:
    """How many tiles the layer named after the phrase shows."""
    return next((layer["features"] for layer in seen["layers"] if layer["name"] == phrase), 0)


def model_box(seen: ScreenState) -> dict[str, Any] | None:
    """The list from which a model is chosen; its label has the same name."""
    boxes = (widget for widget in seen["widgets"] if widget["kind"] == "QComboBox" and widget["enabled"])
    return next((box for box in boxes if box["name"] == "Model"), None)


def description(seen: ScreenState) -> str:
    """The sentence in the panel, empty while the engine works on it."""
    found = find(seen["widgets"], "Description", enabled=False)
    return found["text"] if found and not found["text"].endswith("...") else ""


@pytest.mark.slow
def test_index_search_describe_export(
    desktop: Desktop, own_scene: Path, small_scene: Path, quiet_home: dict[str, str]
) -> None:
    open_panel(desktop, own_scene, quiet_home)
    desktop.press("Index 1 raster")
    done = own_scene.parent / "scene.tif.rsidx" / "meta.json"
    desktop.wait(lambda seen: done.exists(), "index", 2 * PATIENCE_S)
    desktop.press("Search for")
    desktop.type(PHRASE)
    desktop.key("Return")
    desktop.wait(highlights, "highlighted tile")
    desktop.wait(lambda seen: not seen["canvas"]["drawing"], "map")
    desktop.screenshot("results")

    cars = truth(small_scene.parent / "truth.gpkg")[PHRASE].centroid
    desktop.click(*desktop.on_map(cars.x, cars.y), button=3)
    desktop.wait(lambda seen: find(seen["menus"], "Describe this tile"), "menu")
    desktop.screenshot("menu")
    desktop.choose("Describe this tile")
    sentence = desktop.wait(description, "description")
    desktop.screenshot("description")
    assert len(sentence.split()) >= 2

    target = desktop.folder / "cars.shp"
    desktop.press("Export")
    desktop.wait(lambda seen: find(seen["widgets"], "Export the matches shown"), "file dialog")
    desktop.type(str(target))
    desktop.key("Return")
    desktop.wait(lambda seen: target.exists(), "shapefile")
    assert read_info(target)["features"] > 0


@pytest.mark.slow
def test_panel_without_engine_says_what_to_press(
    desktop: Desktop, own_scene: Path, quiet_home: dict[str, str]
) -> None:
    open_panel(desktop, own_scene, quiet_home, linked=False)
    desktop.widget("Set up engine")
    desktop.screenshot("no-engine")


@pytest.mark.slow
def test_every_model_is_listed(desktop: Desktop, own_scene: Path, quiet_home: dict[str, str]) -> None:
    open_panel(desktop, own_scene, quiet_home)
    desktop.press("Engine menu")
    desktop.choose("Models ...")

    def listed(seen: ScreenState) -> str:
        texts = (widget["text"] for widget in seen["widgets"] if widget["name"] == "Models")
        return next((text for text in texts if "Compact" in text), "")

    titles = desktop.wait(listed, "list of models")
    desktop.screenshot("models")
    assert [name for name in ("GaLR", "MTGFE", "DOVE", "MGRM-EL") if name not in titles] == []


@pytest.mark.slow
def test_a_person_goes_through_the_published_systems(
    desktop: Desktop, own_scene: Path, quiet_home: dict[str, str]
) -> None:
    open_panel(desktop, own_scene, quiet_home)
    desktop.press("Index settings")
    index = own_scene.parent / "scene.tif.rsidx" / "meta.json"
    for title, phrase in SYSTEMS.items():
        desktop.click(*middle(desktop.wait(model_box, "list of models")["rect"]))
        desktop.type(title)
        desktop.key("Return")

        def chosen(seen: ScreenState, title: str = title) -> bool:
            box = model_box(seen)
            return bool(box and box["text"].startswith(title))

        desktop.wait(chosen, title)
        before = index.stat().st_mtime_ns if index.exists() else 0
        desktop.press("Index 1 raster")

        def indexed(_seen: ScreenState, before: int = before) -> bool:
            return index.exists() and index.stat().st_mtime_ns != before

        desktop.wait(indexed, f"index by {title}", 2 * PATIENCE_S)
        desktop.press("Search for")
        desktop.key("ctrl+a")
        desktop.type(phrase)
        desktop.key("Return")
        desktop.wait(lambda seen, phrase=phrase: highlights(seen, phrase), f"what {title} highlights")
        desktop.wait(lambda seen: not seen["canvas"]["drawing"], "map")
        desktop.screenshot(title)
