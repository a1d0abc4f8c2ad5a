"""Descriptions of val images: how often the first tags name the right scene, which are taken for which, and examples.

    python -m tests.bench.describe MODEL JSONL[:IMAGES] [--examples 12]

All val images are laid out as one raster, indexed, and described as the engine does it for a click on the map.
scene_tags.toml says which tags name which class; tags that name none (water, red roofs) are passed over.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tomllib
from rs_text_search_plugin.models.registry import load
from rs_text_search_plugin.models.training.datasets import open_dataset

from rs_text_search_plugin.contracts.messages import Description
from rs_text_search_plugin.engine.search.describe import describe
from tests.bench.mosaic import indexed

DEPTHS = (1, 3)
WORST = 15


@dataclass(frozen=True)
class Judged:
    """A description of an image of class `label`, and of its tags those that name a class."""

    label: str
    image: str
    said: Description
    scenes: tuple[str, ...]
    rank: int
    """Place of the first right one among them, from 1; 99 when there is none."""


def judged(label: str, image: str, said: Description, names: dict[str, list[str]]) -> Judged:
    """Compares a description with the image's class."""
    naming = {tag for group in names.values() for tag in group}
    scenes = tuple(tag.name for tag in said.tags if tag.name in naming)
    rank = next((place for place, tag in enumerate(scenes, start=1) if tag in names[label]), 99)
    return Judged(label, image, said, scenes, rank)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("data", metavar="JSONL[:IMAGES]")
    parser.add_argument("--examples", type=int, default=12)
    args = parser.parse_args()
    names = tomllib.loads(Path(__file__).with_name("scene_tags.toml").read_text("utf-8"))
    encoder, dataset = load(args.model), open_dataset(args.data)
    mosaic, rows = indexed(encoder, dataset), dataset.split("val")
    found = [judged(row.label, row.image, describe(mosaic, n, encoder), names) for n, row in enumerate(rows)]
    report(found)
    for number in np.random.default_rng(0).permutation(len(found))[: args.examples]:
        item = found[number]
        tags = ", ".join(f"{tag.name} {tag.score:.0f}" for tag in item.said.tags[:5])
        print(f"- {item.image} ({item.label}): “{item.said.sentence}” [{tags}]")


def report(found: list[Judged]) -> None:
    """Shares, the classes worst served, and what they are taken for."""
    for depth in DEPTHS:
        share = np.mean([item.rank <= depth for item in found])
        print(f"right scene among the first {depth} scene tags: {100 * share:.1f} % of {len(found)} pictures")
    plain = np.mean(
        [
            bool(item.said.tags) and item.said.tags[0].name in item.scenes[:1] and item.rank == 1
            for item in found
        ]
    )
    print(f"the very first tag names the right scene: {100 * plain:.1f} %")
    sure = [item for item in found if item.said.sure]
    right = np.mean([item.rank == 1 for item in sure]) if sure else float("nan")
    print(
        f"sure of something: {100 * len(sure) / len(found):.1f} %, of these the first scene right: {100 * right:.1f} %"
    )
    mute = np.mean([item.said.sentence.startswith("I cannot") for item in found])
    print(f"no sentence: {100 * mute:.1f} %\n")
    print("| class | first right | among three | most often taken for |\n|---|---|---|---|")
    classes = sorted({item.label for item in found}, key=lambda name: _share(found, name, 1))
    for name in classes[:WORST]:
        wrong = Counter(
            item.scenes[0] for item in found if item.label == name and item.rank > 1 and item.scenes
        )
        taken = ", ".join(f"{tag} ({count})" for tag, count in wrong.most_common(4))
        print(f"| {name} | {_share(found, name, 1):.0f} % | {_share(found, name, 3):.0f} % | {taken} |")
    print()


def _share(found: list[Judged], label: str, depth: int) -> float:
    return 100 * float(np.mean([item.rank <= depth for item in found if item.label == label]))


if __name__ == "__main__":
    main()
