"""Losses that more than one system uses. All take unit vectors, rows that belong together on the diagonal."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as fn

MASKED_LOGIT = -1e4
"""A similarity that no pair has."""


def info_nce(
    images: Tensor, texts: Tensor, scale: Tensor | float, ignore_mask: Tensor, wrong: Tensor | None = None
) -> Tensor:
    """Cross-entropy of each image over the texts and of each text over the images, the mean of both.

    images, texts (B, dim); `scale` is one over the temperature; pairs marked in `ignore_mask` (B, B) are left
    out. `wrong` (B,), the similarity of each image and a text that is wrong about it, or NEVER, is one more
    text to choose from. Radford et al. 2021."""
    return symmetric_cross_entropy(
        scale * cosines(images, texts), ignore_mask, None if wrong is None else scale * wrong
    )


def symmetric_cross_entropy(logits: Tensor, ignore_mask: Tensor, wrong: Tensor | None = None) -> Tensor:
    """The same for logits (B, B), image by text, and (B,) of wrong texts."""
    logits = logits.masked_fill(ignore_mask, MASKED_LOGIT)
    target = torch.arange(len(logits), device=logits.device)
    choices = logits if wrong is None else torch.cat([logits, wrong[:, None]], 1)
    return (fn.cross_entropy(choices, target) + fn.cross_entropy(logits.T, target)) / 2


def triplet(images: Tensor, texts: Tensor, margin: float, ignore_mask: Tensor) -> Tensor:
    """Sum over every negative of [margin + s(negative) - s(positive)]+, both ways, divided by B.

    images, texts (B, dim); pairs marked in `ignore_mask` (B, B) are no negatives. Faghri et al. 2018 with the sum
    instead of the hardest negative, as GaLR, DOVE and their kin train."""
    similarity = cosines(images, texts)  # (B, B)
    positive = similarity.diagonal()
    spared = ignore_mask | torch.eye(len(images), dtype=torch.bool, device=images.device)
    wrong_text = (margin + similarity - positive[:, None]).clamp_min(0).masked_fill(spared, 0)
    wrong_image = (margin + similarity - positive[None]).clamp_min(0).masked_fill(spared, 0)
    return (wrong_text.sum() + wrong_image.sum()) / len(images)


def cosines(images: Tensor, texts: Tensor) -> Tensor:
    """(n, dim) and (m, dim) -> (n, m), in full precision: autocast would round a cosine to two digits."""
    with torch.autocast(images.device.type, enabled=False):
        return images.float() @ texts.float().T
