"""Vectors that the shipped weights give, kept so that a change of code that changes them is seen.

    python -m tests.models.golden     writes golden.npz anew, after a change of weights

Images are smooth noise made by numpy alone, the same on every machine; arithmetic is torch in fp32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rs_text_search_plugin.models import registry
from rs_text_search_plugin.models.inference.runtime import RuntimeChoice

MODELS = ("compact", "galr", "dove", "mgrm_el", "mtgfe")
FILE = Path(__file__).with_name("golden.npz")
KINDS = ("images", "texts")
COUNT = 20
TEXTS = (
    "storage tanks",
    "swimming pools",
    "two white planes parked beside a hangar",
    "houses along a road",
    "a river between green fields",
    "ships in a harbour",
    "tennis court",
    "a parking lot with many cars",
    "dense residential area",
    "desert",
    "forest",
    "a bridge over water",
    "a baseball field without people",
    "solar panels on a roof",
    "Wind turbines",
    "a railway station and its tracks",
    "beach",
    "an industrial area with grey roofs",
    "mountains covered with snow",
    "the church in the middle of the town square",
)


def pictures() -> np.ndarray:
    """(COUNT, 192, 192, 3) uint8: coarse noise at several scales, enlarged and added up."""
    rng = np.random.default_rng(20)
    found = np.zeros((COUNT, 192, 192, 3))
    for cells in (3, 8, 24, 96):
        noise = rng.normal(size=(COUNT, cells, cells, 3))
        found += noise.repeat(192 // cells, 1).repeat(192 // cells, 2)
    return np.clip(127 + 40 * found, 0, 255).astype(np.uint8)


def vectors(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (COUNT, dim) of the images and of the texts by a model's shipped weights."""
    made = registry.load(name, "cpu")
    made.towers.choice = RuntimeChoice("torch", "fp32", "the same on every machine")
    return made.images(pictures()), made.texts(list(TEXTS))


def main() -> None:
    found = {name: vectors(name) for name in MODELS}
    kept = {f"{name}.{kind}": v for name, both in found.items() for kind, v in zip(KINDS, both, strict=True)}
    np.savez_compressed(FILE, **kept)


if __name__ == "__main__":
    main()
