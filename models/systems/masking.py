"""What the pretext tasks of a fusion encoder draw: wrong partners for matching, hidden words for guessing."""

from __future__ import annotations

import torch
from rs_text_search_plugin.models.layers.losses import MASKED_LOGIT
from rs_text_search_plugin.models.layers.minilm import SPECIAL, UNKNOWN
from torch import Tensor

from .base import Batch


def certain_negatives(batch: Batch) -> Tensor:
    """(B, B) bool, image by text: pairs that surely do not belong together."""
    same = batch.images[:, None] == batch.images
    same_text = batch.sentences[:, None] == batch.sentences
    return ~(batch.ignore_mask | same | same_text)


def drawn(similarity: Tensor, allowed: Tensor, count: int = 1) -> tuple[Tensor, Tensor]:
    """similarity, allowed (n, m) -> the rows (r,) that allow any column, and for each some columns (r, count),
    drawn in proportion to exp(similarity), the same perhaps more than once."""
    rows = allowed.any(1).nonzero().flatten()
    chances = similarity.masked_fill(~allowed, MASKED_LOGIT)[rows].softmax(1)
    return rows, torch.multinomial(chances, count, replacement=True)


def hide(ids: Tensor, share: float, vocabulary: int) -> tuple[Tensor, Tensor]:
    """ids (n, T) -> which of them are asked for (n, T), and ids where 80 % of those are unreadable, 10 % are
    some other word and 10 % stand as they are. Devlin et al. 2019; at least one in every text."""
    chance = torch.rand(ids.shape).masked_fill(ids < len(SPECIAL), 2.0)
    asked = (chance <= chance.amin(1, keepdim=True).clamp_min(share)) & (chance < 2)
    how = torch.rand(ids.shape)
    shown = ids.masked_fill(asked & (how < 0.8), SPECIAL.index(UNKNOWN))
    others = torch.randint(len(SPECIAL), vocabulary, ids.shape)
    return asked, torch.where(asked & (how >= 0.9), others, shown)
