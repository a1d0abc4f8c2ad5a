"""Maps of the frozen backbone, computed once for several views of every picture, so that an epoch of training
takes seconds.

One memory-mapped array pair a dataset: `NAME.tokens.npy` (views, rows, 36, 1024) and `NAME.detail.npy`
(views, rows, 512), fp16. A view that is whole has its number in `NAME.done`, which is what `--resume` looks
at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageEnhance

from rs_text_search_plugin.engine.errors import ModelError
from rs_text_search_plugin.engine.types import U8

from .backbones import CHANNELS, ResNet50V2
from .compact import GRID, INPUT_PX, pool_maps
from .datasets import Dataset, pixels

F16 = npt.NDArray[np.float16]
BATCH = 16


@dataclass(frozen=True)
class Features:
    """What the backbone saw: memory-mapped (views, rows, 36, 1024) and (views, rows, 512)."""

    tokens: F16
    detail: F16

    @property
    def views(self) -> int:
        """How many views there are of each picture."""
        return len(self.tokens)


def view(image: Image.Image, number: int, rng: np.random.Generator) -> U8:
    """One of many looks at a picture -> (INPUT_PX, INPUT_PX, 3).

    Even numbers show it as it is, odd ones mirrored, cropped and recoloured; each pair is turned a quarter
    further, since north is arbitrary seen from above.
    """
    if number % 2:
        image = _recoloured(_cropped(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), rng), rng)
    turned = np.rot90(pixels(image), number // 2 % 4)
    box = Image.fromarray(np.ascontiguousarray(turned))
    return pixels(box.resize((INPUT_PX, INPUT_PX), Image.Resampling.BILINEAR))


def compute(
    backbone: ResNet50V2, data: Dataset, views: int, folder: Path, log: Callable[[str], None]
) -> Features:
    """Fill in the views that `folder` does not have yet and open them all."""
    done = folder / f"{data.name}.done"
    found = set(done.read_text().split()) if done.exists() else set()
    features = _open(data, views, folder)
    for number in range(views):
        if str(number) in found:
            continue
        for start, tokens, detail in _pass(backbone, data, number):
            features.tokens[number, start : start + len(tokens)] = tokens
            features.detail[number, start : start + len(tokens)] = detail
        with done.open("a") as file:
            file.write(f"{number}\n")
        log(f"features of {data.name}: view {number + 1} of {views}")
    return features


def _pass(backbone: ResNet50V2, data: Dataset, number: int) -> Iterator[tuple[int, F16, F16]]:
    weight = backbone.stem.weight

    def batch(start: int) -> U8:
        rng = np.random.default_rng((number, start))
        return np.stack(
            [view(data.images.read(r.image), number, rng) for r in data.rows[start : start + BATCH]]
        )

    with ThreadPoolExecutor(1) as reader, torch.inference_mode():
        upcoming = reader.submit(batch, 0)
        for start in range(0, len(data.rows), BATCH):
            tiles = upcoming.result()
            upcoming = reader.submit(batch, min(start + BATCH, len(data.rows) - 1))
            x = torch.from_numpy(tiles).to(weight.device).permute(0, 3, 1, 2).to(weight.dtype) / 255
            tokens, detail = pool_maps(*backbone(x.contiguous(memory_format=torch.channels_last)))
            yield start, tokens.half().cpu().numpy(), detail.half().cpu().numpy()


def _open(data: Dataset, views: int, folder: Path) -> Features:
    tokens = _mapped(folder / f"{data.name}.tokens.npy", (views, len(data.rows), GRID * GRID, CHANNELS[2]))
    return Features(tokens, _mapped(folder / f"{data.name}.detail.npy", (views, len(data.rows), CHANNELS[1])))


def _mapped(path: Path, shape: tuple[int, ...]) -> F16:
    if not path.exists():
        return np.lib.format.open_memmap(path, "w+", np.float16, shape)
    found = np.lib.format.open_memmap(path, "r+")
    if found.shape != shape:
        raise ModelError(f"{path} was made from other data or settings.", "Choose another folder for --out.")
    return found


def _cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    side = rng.uniform(0.75, 1.0)
    width, height = round(image.width * side), round(image.height * side)
    x, y = rng.integers(image.width - width + 1), rng.integers(image.height - height + 1)
    return image.crop((int(x), int(y), int(x) + width, int(y) + height))


def _recoloured(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = change(image).enhance(rng.uniform(0.7, 1.3))
    return image
