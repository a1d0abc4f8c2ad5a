"""Which names fit which val images, and the images' vectors: what calibration_fit.py fits a model's scores to.

    python -m rs_text_search_plugin.models.evaluation.labelled MODEL OUT.npz SCENES.jsonl[:IMAGES] CHIPS.jsonl[:IMAGES]

Names are those of scenes (label prompts) and of things (training/mixed/things.toml). A scene's name fits an image with
that label, does not fit one whose label and captions do not say it, and nobody can tell in between. Whether a thing's
name fits is told by captions, labels and boxes. Chips come whole and by windows of all sizes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rs_text_search_plugin.models import registry
from rs_text_search_plugin.models.label_prompts import label_prompts
from rs_text_search_plugin.models.training.datasets import Dataset, Row, open_dataset, pixels
from rs_text_search_plugin.models.training.mixed.things import ABSENT, PRESENT, UNKNOWN, Known, things

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.protocols import Encoder

from .retrieval import embed_images
from .things import object_views

WINDOWS = 2
"""Windows on each chip, besides the whole."""
SMALL_WORDS = frozenset({"a", "the", "with", "of", "and", "in", "by", "many"})
BATCH = 32


def save(encoder: Encoder, out: Path, datasets: Sequence[Dataset]) -> None:
    """Write `images` (n, dim), `scenes` (n,), `queries` (q,), `positive` and `negative` (q, n)."""
    scene_names = sorted({name for label in _labels(datasets) for name in _names_of(label)} - things().names)
    parts = [_objects if any(row.set for row in data.rows) else _scenes for data in datasets]
    found = [part(encoder, data, scene_names) for part, data in zip(parts, datasets, strict=True)]
    images, scenes = (np.concatenate([one[at] for one in found]) for at in (0, 1))
    fits = np.concatenate([one[2] for one in found], axis=1)
    told = {"positive": fits == PRESENT, "negative": fits == ABSENT}
    queries = np.array([*scene_names, *(name for name, _ in thing_names())])
    with out.open("wb") as file:
        np.savez(file, images=images, scenes=scenes, queries=queries, **told)


def thing_names() -> list[tuple[str, int]]:
    """Every name of every thing, with the thing's number."""
    return [
        (name, n) for n, thing in enumerate(things().all) for name in dict.fromkeys((*thing.one, *thing.many))
    ]


def _scenes(encoder: Encoder, data: Dataset, names: Sequence[str]) -> tuple[F32, npt.NDArray[np.str_], Known]:
    rows = data.split("val")
    known = np.stack([things().of_captions(row.label, _captions(row)) for row in rows])
    fits = np.concatenate([_scene_fits(rows, names), known.T[[thing for _, thing in thing_names()]]])
    return embed_images(encoder, data, rows), np.array([row.label for row in rows]), fits


def _scene_fits(rows: Sequence[Row], names: Sequence[str]) -> Known:
    """(names, rows)"""
    said = [_stems(" ".join(_captions(row))) for row in rows]
    found = np.full((len(names), len(rows)), ABSENT, np.int8)
    for number, name in enumerate(names):
        stems = _stems(name)
        for at, row in enumerate(rows):
            if name in _names_of(row.label):
                found[number, at] = PRESENT
            elif stems <= said[at]:
                found[number, at] = UNKNOWN
    return found


def _objects(
    encoder: Encoder, data: Dataset, names: Sequence[str]
) -> tuple[F32, npt.NDArray[np.str_], Known]:
    views = [
        view for seed in range(WINDOWS) for view in object_views(data, things(), seed, windows_only=seed > 0)
    ]
    possible = {name: _possible(table.scenes) for name, table in things().sets.items()}
    scenes = np.array(
        [[UNKNOWN if name in possible[origin] else ABSENT for _, origin, _ in views] for name in names],
        np.int8,
    )
    known = np.stack([view.known for view, _, _ in views]).T[[thing for _, thing in thing_names()]]
    tiles = np.stack([pixels(view.image) for view, _, _ in views])
    images = np.concatenate([encoder.images(tiles[i : i + BATCH]) for i in range(0, len(tiles), BATCH)])
    return images, np.array([origin for _, origin, _ in views]), np.concatenate([scenes, known])


def _possible(labels: frozenset[str]) -> set[str]:
    """What people call any of the scenes."""
    return {name for label in labels for name in _names_of(label)}


def _labels(datasets: Sequence[Dataset]) -> set[str]:
    return {row.label for data in datasets for row in data.rows if not row.set}


def _names_of(label: str) -> tuple[str, ...]:
    return label_prompts().labels.get(label, (label,))


def _captions(row: Row) -> list[str]:
    return [*row.captions, *row.more_captions]


def _stems(text: str) -> set[str]:
    words = "".join(char if char.isalpha() else " " for char in text.lower()).split()
    return {word.rstrip("s") for word in words if word not in SMALL_WORDS}


if __name__ == "__main__":
    save(registry.load(sys.argv[1], "cpu"), Path(sys.argv[2]), [open_dataset(spec) for spec in sys.argv[3:]])
