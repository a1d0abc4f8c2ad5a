"""How retrieval holds as images get coarser, closer, hazy, dull, off-colour or turned.

    python -m tests.bench.robustness MODEL JSONL[:IMAGES] [--images 400]

A fixed draw of captioned val images is changed in one way after another and searched with its own captions. Prints
mR of evaluation.py and the share of images whose scene is ranked first, and both against the untouched images. The
engine's contrast stretch, which undoes most of haze and dullness when a whole raster has it, is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from rs_text_search_plugin.models.evaluation.retrieval import embed_texts, recalls
from rs_text_search_plugin.models.label_prompts import label_prompts
from rs_text_search_plugin.models.registry import load
from rs_text_search_plugin.models.training.datasets import Row, open_dataset, pixels

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.search.query.embedding import embed_english as embedded

Picture = Image.Image
Change = Callable[[Picture], Picture]
BATCH = 32


def resampled(picture: Picture, factor: float) -> Picture:
    """The same ground with `factor` times the pixels a side, as a sensor of that GSD gives it."""
    return picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.BICUBIC)


def closer(picture: Picture, share: float) -> Picture:
    """The middle, `share` of either side: things look larger, and what stood outside is lost."""
    x, y = picture.width * (1 - share) / 2, picture.height * (1 - share) / 2
    return picture.crop((round(x), round(y), round(picture.width - x), round(picture.height - y)))


def farther(picture: Picture) -> Picture:
    """Things half as large: the image amid its mirror images, as there is nothing else to put around it."""
    tile, half = pixels(picture), [(side // 2, side - side // 2) for side in (picture.height, picture.width)]
    return Image.fromarray(np.pad(tile, [*half, (0, 0)], mode="symmetric"))


def hazed(picture: Picture, share: float) -> Picture:
    """Behind a bluish-white veil."""
    return Image.blend(picture, Image.new("RGB", picture.size, (205, 215, 230)), share)


def levels(picture: Picture, gains: Sequence[float], offset: float = 0.0) -> Picture:
    """Red, green and blue times `gains`, plus `offset`."""
    return Image.fromarray(np.clip(pixels(picture) * np.array(gains) + offset, 0, 255).astype(np.uint8))


def banded(picture: Picture, order: str) -> Picture:
    """Bands in another order, such as BGR."""
    bands = dict(zip("RGB", picture.split(), strict=True))
    return Image.merge("RGB", [bands[name] for name in order])


def noisy(picture: Picture, spread: float = 15.0) -> Picture:
    """With the grain of a weak sensor; `spread` in grey values."""
    grain = np.random.default_rng(0).normal(0, spread, (picture.height, picture.width, 3))
    return Image.fromarray(np.clip(pixels(picture) + grain, 0, 255).astype(np.uint8))


def turned(picture: Picture, degrees: int) -> Picture:
    """Turned about its middle, the corners filled from its mirror images."""
    size, wide = picture.size, farther(picture).rotate(degrees, Image.BICUBIC)
    x, y = (wide.width - size[0]) // 2, (wide.height - size[1]) // 2
    return wide.crop((x, y, x + size[0], y + size[1]))


CHANGES: dict[str, Change] = {
    "untouched": lambda picture: picture,
    "0.25x the pixels": partial(resampled, factor=0.25),
    "0.5x the pixels": partial(resampled, factor=0.5),
    "0.7x the pixels": partial(resampled, factor=0.7),
    "1.5x the pixels": partial(resampled, factor=1.5),
    "2x the pixels": partial(resampled, factor=2.0),
    "half the ground: middle of the picture": partial(closer, share=0.5),
    "0.7x the ground": partial(closer, share=0.7),
    "2x the ground: mirrored around": farther,
    "haze, a quarter": partial(hazed, share=0.25),
    "haze, a half": partial(hazed, share=0.5),
    "dull: half the contrast": partial(levels, gains=(0.5, 0.5, 0.5), offset=60.0),
    "dark: 40 % of the light": partial(levels, gains=(0.4, 0.4, 0.4)),
    "glaring: 1.6x the light": partial(levels, gains=(1.6, 1.6, 1.6)),
    "warm light": partial(levels, gains=(1.25, 1.0, 0.75)),
    "cold light": partial(levels, gains=(0.75, 1.0, 1.25)),
    "red and blue swapped": partial(banded, order="BGR"),
    "one band: grey": lambda picture: picture.convert("L").convert("RGB"),
    "one band: green": partial(banded, order="GGG"),
    "blurred, 1.5 px": lambda picture: picture.filter(ImageFilter.GaussianBlur(1.5)),
    "grain": noisy,
    "turned by 90": lambda picture: picture.transpose(Image.ROTATE_90),
    "turned by 180": lambda picture: picture.transpose(Image.ROTATE_180),
    "turned by 270": lambda picture: picture.transpose(Image.ROTATE_270),
    "turned by 45": partial(turned, degrees=45),
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
}


class Bench:
    """Texts and truth of the drawn images, embedded once."""

    def __init__(self, encoder: Encoder, rows: Sequence[Row]) -> None:
        captions = [caption for row in rows for caption in row.captions]
        scenes = sorted({row.label for row in rows})
        names = [label_prompts().labels.get(scene, (scene,))[0] for scene in scenes]
        self.captions, self.scenes = embed_texts(encoder, captions), embedded(encoder, names)
        self.owners = np.repeat(np.arange(len(rows)), [len(row.captions) for row in rows])
        self.labels = np.array([scenes.index(row.label) for row in rows])

    def figures(self, images: F32) -> tuple[float, float]:
        """(n, dim) -> mR and scene top-1, percent."""
        first = (images @ self.scenes.T).argmax(axis=1)
        return recalls(images, self.captions, self.owners)["mr"], 100 * float((first == self.labels).mean())


def embed(encoder: Encoder, pictures: Sequence[Picture], change: Change) -> F32:
    """(n, dim) of the changed images."""
    parts = (pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH))
    return np.concatenate([encoder.images(np.stack([pixels(change(one)) for one in part])) for part in parts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("data", metavar="JSONL[:IMAGES]")
    parser.add_argument("--pictures", type=int, default=400)
    args = parser.parse_args()
    encoder, dataset = load(args.model), open_dataset(args.data)
    rows = [row for row in dataset.split("val") if row.captions]
    drawn = np.sort(np.random.default_rng(0).permutation(len(rows))[: args.pictures])
    rows = [rows[number] for number in drawn]
    pictures, bench = [dataset.images.read(row.image) for row in rows], Bench(encoder, rows)
    print(f"{len(rows)} pictures of {dataset.name} val, {len(bench.owners)} captions, model {args.model}\n")
    print("| pictures | mR | of untouched | scene first | of untouched |\n|---|---|---|---|---|")
    usual: tuple[float, float] | None = None
    for name, change in CHANGES.items():
        mr, top = bench.figures(embed(encoder, pictures, change))
        usual = usual or (mr, top)
        shares = f"{100 * mr / usual[0]:.0f} % | {top:.1f} | {100 * top / usual[1]:.0f} %"
        print(f"| {name} | {mr:.2f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
