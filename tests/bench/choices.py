"""What the choices behind a model cost or gain that need no training: recall on val with one of them made otherwise.

    python -m tests.bench.choices MODEL JSONL[:IMAGES]

The arithmetic of the backbone, for every way that this machine has; the side of pictures; the mean over four quarter
turns; and how much of what is due to hubs is taken off. Some minutes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from rs_text_search_plugin.models.evaluation.hub_correction import Hubs, hubness
from rs_text_search_plugin.models.evaluation.retrieval import embed_texts, recalls, recalls_of
from rs_text_search_plugin.models.inference.encoder import TorchEncoder, likeness
from rs_text_search_plugin.models.inference.runtime import Choice
from rs_text_search_plugin.models.registry import load
from rs_text_search_plugin.models.training.datasets import open_dataset, pixels

from rs_text_search_plugin.contracts.arrays import F32, U8
from rs_text_search_plugin.engine.vectors import unit_length as unit

from .encoder import possible, seeing
from .results import table

SIDES = (160, 224, 256)
SHARES = (0.0, 0.4, 0.6, 0.8, 1.0)


def main(model: str, data: str) -> None:
    """Print a table of the choices and one of the hubs' shares."""
    dataset = open_dataset(data)
    rows = dataset.split("val")
    captions = [caption for row in rows for caption in row.captions]
    owners = np.repeat(np.arange(len(rows)), [len(row.captions) for row in rows])
    tiles = np.stack([pixels(dataset.images.read(row.image)) for row in rows])
    shipped = load(model, "cpu")
    texts, images = embed_texts(shipped, captions), shipped.images(tiles)
    lines = [_line("as shipped", shipped, images, texts, owners)]
    for label, encoder, seen in _otherwise(model, tiles):
        lines.append(_line(label, encoder, seen, texts, owners))
    turned = sum((shipped.images(np.rot90(tiles, turns, (1, 2))) for turns in range(1, 4)), images)
    lines.append(_line("mean over quarter turns", shipped, unit(turned), texts, owners))
    print(table(["choice", "mR", "by the cosine"], lines))
    if shipped.hubs:
        shares = _shares(shipped.hubs, images, texts, owners)
        print(table(["taken off pictures \\ texts", *map(str, SHARES)], shares))


def _otherwise(model: str, tiles: U8) -> Iterator[tuple[str, TorchEncoder, F32]]:
    for name, kind in possible(model):
        encoder = seeing(model, Choice(name, kind, ""))
        yield f"{name} in {kind}", encoder, encoder.images(tiles)
    for side in SIDES:
        encoder = seeing(model, side=side)
        yield f"{side} px", encoder, encoder.images(tiles)


def _line(label: str, encoder: TorchEncoder, images: F32, texts: F32, owners: np.ndarray) -> Sequence[str]:
    matched = likeness(encoder, images, texts)
    whole, cosine = recalls_of(matched, matched.T, owners), recalls(images, texts, owners)
    line = label, f"{whole['mr']:.2f}", f"{cosine['mr']:.2f}"
    print(*line, flush=True, file=sys.stderr)
    return line


def _shares(found: Hubs, images: F32, texts: F32, owners: np.ndarray) -> list[Sequence[str]]:
    """mR for shares of hubness taken off pictures (a line) and texts (a column)."""
    plain = images @ texts.T
    off_pictures = hubness(torch.from_numpy(images), found.texts, found.text_shares).numpy()  # (n,)
    off_texts = hubness(torch.from_numpy(texts), found.images, found.image_shares).numpy()  # (m,)

    def recall(pictures: float, queries: float) -> str:
        matched = plain - pictures * off_pictures[:, None] - queries * off_texts
        return f"{recalls_of(matched, matched.T, owners)['mr']:.2f}"

    return [[str(one), *(recall(one, other) for other in SHARES)] for one in SHARES]


if __name__ == "__main__":
    open_dataset(sys.argv[2])  # a wrong path should fail at once
    main(sys.argv[1], sys.argv[2])
