"""Which images and texts of a batch are negatives of each other, and the losses over them.

A text of another image is a negative only where something is known: a text about things where one of them is absent,
the name of a scene where the image shows another, a caption where the image has captions of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rs_text_search_plugin.models.layers.losses import MASKED_LOGIT
from torch import Tensor
from torch.nn import functional as fn

from .examples import Example, Text
from .things import ABSENT, PRESENT

MOST_CAPTIONS = 24
"""Captions of an image that are compared with the texts of a batch."""
HARDEST, HARDEST_SHARPNESS = 0.02, 3.0
"""Weight of the image that claims an absent thing most, and how sharply it is picked."""


@dataclass(frozen=True)
class ImageFacts:
    """What is known of n images."""

    captions: Tensor
    """(n, MOST_CAPTIONS) numbers of their captions, -2 where there is none."""
    things: Tensor
    scenes: Tensor
    """(n, things) and (n, labels) int8, see things.py."""
    captioned: Tensor
    """(n,) bool: its own captions describe all of it, so that one of another image is a negative."""


@dataclass(frozen=True)
class TextFacts:
    """What m texts are about."""

    number: Tensor
    """(m,) of a caption, -1 for others."""
    scene: Tensor
    """(m,) the label it names, -1 where it names none."""
    about: Tensor
    """(m, things) float, 1 where it is about the thing."""
    of_things: Tensor
    """(m,) bool: it is about these things and nothing else."""


def image_facts(examples: Sequence[Example]) -> ImageFacts:
    """Of a batch."""
    captions = torch.full((len(examples), MOST_CAPTIONS), -2)
    for row, example in zip(captions, examples, strict=True):
        own = torch.tensor(sorted(example.captions)[:MOST_CAPTIONS])
        row[: len(own)] = own
    things, scenes = (
        torch.from_numpy(np.stack(states))
        for states in zip(*((example.things, example.scenes) for example in examples), strict=True)
    )
    return ImageFacts(captions, things, scenes, torch.tensor([example.captioned for example in examples]))


def text_facts(texts: Sequence[Text], things: int) -> TextFacts:
    """Of the texts of a batch; `things` is how many there are in the table."""
    about = torch.zeros(len(texts), things)
    for row, text in zip(about, texts, strict=True):
        row[list(text.about)] = 1
    numbers, scenes = (
        torch.tensor([text.number for text in texts]),
        torch.tensor([text.scene for text in texts]),
    )
    return TextFacts(numbers, scenes, about, torch.tensor([text.of_things for text in texts]))


def negatives(images: ImageFacts, texts: TextFacts) -> Tensor:
    """(n, m) bool: pairs that are known not to belong together; all others are left out of the loss."""
    own = (images.captions[:, :, None] == texts.number).any(1)
    denied = (images.things == ABSENT).float() @ texts.about.T > 0
    other_caption = images.captioned[:, None] | denied | (texts.about.sum(1) == 0)
    other_scene = images.scenes[:, texts.scene.clamp_min(0)] == ABSENT
    found = torch.where(texts.of_things, denied, torch.where(texts.scene >= 0, other_scene, other_caption))
    return found & ~own


def pair_loss(logits: Tensor, negative: Tensor, owner: Tensor, wrong: Tensor) -> Tensor:
    """InfoNCE with several texts an image: each image tells each of its texts from its negatives and from a wrong one,
    each text its image from its negatives (Radford et al. 2021).

    logits and negative (n, m); owner (m,) the row of each text's image; wrong (m,) logit of a text that denies this
    one, MASKED_LOGIT where there is none."""
    barred = logits.masked_fill(~negative, MASKED_LOGIT)
    own = logits[owner, torch.arange(len(owner))]
    other_texts = torch.logaddexp(barred.logsumexp(1)[owner], wrong)
    return (fn.softplus(other_texts - own) + fn.softplus(barred.logsumexp(0) - own)).mean() / 2


@dataclass(frozen=True)
class NameLosses:
    """Names of things against images, each a mean over the names that a batch tells about."""

    present: Tensor
    """Whether each is present: a balanced logistic loss with one threshold for all."""
    ranks: Tensor
    """Images that show it before those that do not."""
    picks: Tensor
    """Things that an image shows before those that it does not."""


def name_losses(
    similarity: Tensor, known: Tensor, sharpness: Tensor, threshold: Tensor, scale: Tensor
) -> NameLosses:
    """similarity and known (n, names) -> losses. `sharpness` and `threshold` are those of the logistic loss, `scale`
    that of the pair loss."""
    present, absent = known == PRESENT, known == ABSENT
    told = present.any(0) & absent.any(0)
    z, logits = sharpness * (similarity - threshold), scale * similarity
    balanced = _mean(fn.softplus(-z), present) + _mean(fn.softplus(z), absent)
    loudest = (HARDEST_SHARPNESS * z).masked_fill(~absent, MASKED_LOGIT).logsumexp(0) / HARDEST_SHARPNESS
    barred = logits.masked_fill(~absent, MASKED_LOGIT)
    ranks = _mean(fn.softplus(barred.logsumexp(0) - logits), present)
    picks = (fn.softplus(barred.logsumexp(1)[:, None] - logits) * present).sum() / present.sum().clamp_min(1)
    return NameLosses(
        balanced[told].mean() + HARDEST * fn.softplus(loudest[told]).mean(), ranks[told].mean(), picks
    )


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """(n, k) -> (k,) mean over the rows that are marked."""
    return (values * where).sum(0) / where.sum(0).clamp_min(1)
