"""How much of what scores 50 hangs on where a tile begins.

    python -m tests.bench.framing MODEL JSONL[:IMAGES] [--images 600]

Each val image gives two tiles of two thirds of its side that lie half a tile apart, left and right. All left tiles
are one index, all right tiles another, and both are searched for what people type (people_words.toml). `changed` is the
share
of the tiles which score 50 or more in one frame that do not in the other.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from PIL import Image
from rs_text_search_plugin.models.registry import load
from rs_text_search_plugin.models.training.datasets import open_dataset, pixels

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.contracts.scores import POSSIBLE
from tests.bench.reliability import queries, scores

PART = 2 / 3
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("data", metavar="JSONL[:IMAGES]")
    parser.add_argument("--images", type=int, default=600)
    args = parser.parse_args()
    encoder, dataset = load(args.model), open_dataset(args.data)
    rows = dataset.split("val")
    drawn = np.sort(np.random.default_rng(0).permutation(len(rows))[: args.images])
    rows = [rows[number] for number in drawn]
    images = [dataset.images.read(row.image) for row in rows]
    texts = queries(encoder, dataset.name, rows).texts
    left, right = (scores(encoder, texts, _embedded(encoder, images, x)) >= POSSIBLE for x in (0.0, PART / 2))
    both, either = (left & right).sum(), left.sum() + right.sum()
    print(
        f"{len(rows)} images, {len(texts)} queries: {left.sum():,} tiles score {POSSIBLE:.0f} in the left frame,",
        end="",
    )
    print(f" {right.sum():,} in the right, {both:,} in both: {100 * (1 - 2 * both / either):.1f} % changed")


def _embedded(encoder: Encoder, images: Sequence[Image.Image], x: float) -> F32:
    tiles = np.stack([_tile(image, x) for image in images])
    return np.concatenate([encoder.images(tiles[i : i + BATCH]) for i in range(0, len(tiles), BATCH)])


def _tile(image: Image.Image, x: float) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """A square tile that begins at `x` of the image's width, at mid height."""
    size, top = PART * min(image.size), (1 - PART) / 2 * image.height
    left = x * image.width
    return pixels(
        image.resize((192, 192), Image.Resampling.BILINEAR, box=(left, top, left + size, top + size))
    )


if __name__ == "__main__":
    main()
