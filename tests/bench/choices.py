"""What the choices behind a model cost or gain that need no training: recall on val with one of them made otherwise.

    python -m tests.bench.choices MODEL JSONL[:IMAGES]

The arithmetic of the backbone, for every way that this machine has; the side of images; the mean over four quarter
turns; and the weights of hub correction. Some minutes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import numpy as np
from rs_text_search_plugin.models.evaluation.hub_correction import HubCentres, hubness, read_hub_centres
from rs_text_search_plugin.models.evaluation.retrieval import embed_texts, recalls, recalls_from_scores
from rs_text_search_plugin.models.inference.runtime import RuntimeChoice
from rs_text_search_plugin.models.registry import load, weights_of
from rs_text_search_plugin.models.training.datasets import open_dataset, pixels

from rs_text_search_plugin.contracts.arrays import F32, U8
from rs_text_search_plugin.engine.vectors import unit_length as unit

from .encoder import possible, with_runtime
from .results import table

SIDES = (160, 224, 256)
WEIGHTS = (0.0, 0.4, 0.6, 0.8, 1.0)


def main(model: str, data: str) -> None:
    """Print a table of the choices and one of the weights of hub correction."""
    dataset = open_dataset(data)
    rows = dataset.split("val")
    captions = [caption for row in rows for caption in row.captions]
    owners = np.repeat(np.arange(len(rows)), [len(row.captions) for row in rows])
    tiles = np.stack([pixels(dataset.images.read(row.image)) for row in rows])
    shipped = load(model, "cpu")
    texts, images = embed_texts(shipped, captions), shipped.images(tiles)
    lines = [_line("as shipped", images, texts, owners)]
    for label, seen in _otherwise(model, tiles):
        lines.append(_line(label, seen, texts, owners))
    turned = sum((shipped.images(np.rot90(tiles, turns, (1, 2))) for turns in range(1, 4)), images)
    lines.append(_line("mean over quarter turns", unit(turned), texts, owners))
    print(table(["choice", "mR"], lines))
    if centres := read_hub_centres(weights_of(model)):
        shares = _weights(centres, images, texts, owners)
        print(table(["hub correction: weight for images \\ texts", *map(str, WEIGHTS)], shares))


def _otherwise(model: str, tiles: U8) -> Iterator[tuple[str, F32]]:
    for name, kind in possible(model):
        encoder = with_runtime(model, RuntimeChoice(name, kind, ""))
        yield f"{name} in {kind}", encoder.images(tiles)
    for side in SIDES:
        encoder = with_runtime(model, side=side)
        yield f"{side} px", encoder.images(tiles)


def _line(label: str, images: F32, texts: F32, owners: np.ndarray) -> Sequence[str]:
    line = label, f"{recalls(images, texts, owners)['mr']:.2f}"
    print(*line, flush=True, file=sys.stderr)
    return line


def _weights(centres: HubCentres, images: F32, texts: F32, owners: np.ndarray) -> list[Sequence[str]]:
    """mR for weights of the hubness of images (a line) and of texts (a column)."""
    cosine = images @ texts.T
    of_images = hubness(images, centres.texts, centres.text_shares)  # (n,)
    of_texts = hubness(texts, centres.images, centres.image_shares)  # (m,)

    def recall(image_weight: float, text_weight: float) -> str:
        corrected = cosine - image_weight * of_images[:, None] - text_weight * of_texts
        return f"{recalls_from_scores(corrected, corrected.T, owners)['mr']:.2f}"

    return [[str(one), *(recall(one, other) for other in WEIGHTS)] for one in WEIGHTS]


if __name__ == "__main__":
    open_dataset(sys.argv[2])  # a wrong path should fail at once
    main(sys.argv[1], sys.argv[2])
