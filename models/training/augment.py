"""Looks at an image: as it is, or changed in ways that do not change what is seen from above."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance
from rs_text_search_plugin.models.systems.base import INPUT_PX

from rs_text_search_plugin.contracts.arrays import U8

from .datasets import pixels

BILINEAR = Image.Resampling.BILINEAR
ROTATIONS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
HAZE = (215, 220, 225)


def resized_image(image: Image.Image) -> U8:
    """The whole image -> (INPUT_PX, INPUT_PX, 3)."""
    return pixels(image.resize((INPUT_PX, INPUT_PX), BILINEAR))


def augmented(image: Image.Image, rng: np.random.Generator, side: int = INPUT_PX) -> U8:
    """Mirrored, turned by quarters (north is arbitrary), cropped to 65-100 % a side, at times to less or shrunk
    among its mirror images, now and then coarser, recoloured, grey, off-colour or hazy -> (side, side, 3)."""
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if turn := int(rng.integers(4)):
        image = image.transpose(ROTATIONS[turn - 1])
    return pixels(_degrade(_jitter_colours(_random_crop(image, rng, side), rng), rng))


def augmented_whole(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turned, mirrored, recoloured, now and then grey, off-colour, hazy or coarse, but never cropped."""
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if turn := int(rng.integers(4)):
        image = image.transpose(ROTATIONS[turn - 1])
    if rng.random() < 0.2:
        small = int(image.width * rng.uniform(0.4, 0.8))
        image = image.resize((small, small), BILINEAR).resize(image.size, BILINEAR)
    return _degrade(_jitter_colours(image, rng), rng)


def _random_crop(image: Image.Image, rng: np.random.Generator, side: int) -> Image.Image:
    chance = rng.random()
    if chance < 0.1:
        image = _reflect_pad(image, rng.uniform(0.1, 0.5))
    share = rng.uniform(0.65, 1.0) if chance < 0.9 else rng.uniform(0.5, 0.65)
    width, height = round(image.width * share), round(image.height * share)
    x, y = int(rng.integers(image.width - width + 1)), int(rng.integers(image.height - height + 1))
    box = (x, y, x + width, y + height)
    if rng.random() < 0.2:
        small = int(side * rng.uniform(0.4, 0.8))
        image, box = image.resize((small, small), BILINEAR, box=box), (0, 0, small, small)
    return image.resize((side, side), BILINEAR, box=box)


def _reflect_pad(image: Image.Image, more: float) -> Image.Image:
    """The image with so much of its side added all around, mirrored at the edges."""
    array = pixels(image)
    rim = round(more * min(array.shape[:2]))
    return Image.fromarray(np.pad(array, ((rim, rim), (rim, rim), (0, 0)), "reflect"))


def _jitter_colours(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        if rng.random() < 0.6:
            image = change(image).enhance(rng.uniform(0.65, 1.35))
    return image


def _degrade(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    chance = rng.random()
    if chance < 0.06:
        return image.convert("L").convert("RGB")
    if chance < 0.12:
        tinted = pixels(image).astype(np.float32) * rng.uniform(0.8, 1.2, 3)
        return Image.fromarray(np.clip(tinted, 0, 255).astype(np.uint8))
    if chance < 0.16:
        return Image.blend(image, Image.new("RGB", image.size, HAZE), rng.uniform(0.2, 0.5))
    return image
