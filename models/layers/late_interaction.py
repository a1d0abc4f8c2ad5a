"""How well words fit places before anything is fused: each word with the place that fits it best, and the whole text
with the whole image.

Late interaction as FILIP has it (Yao et al., ICLR 2022): cheap enough to compare every image of a batch with every
text, so that words and places learn to speak of the same before a fusion encoder combines them (as ALBEF aligns
before it fuses: Li et al., NeurIPS 2021)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from .losses import MASKED_LOGIT, cosines
from .word_encoder import mean_over

START_SCALE = 20.0
TEXTS_PER_BLOCK = 64
"""Texts that are compared with all images at once: bounds the memory."""


class AlignedText(NamedTuple):
    """n texts in the space of places."""

    words: Tensor
    """(n, T, dim) unit vectors."""
    shares: Tensor
    """(n, T) how much each word counts, in all 1; 0 where there is none."""
    whole: Tensor
    """(n, dim) unit vectors."""


class Alignment(nn.Module):
    """Word states (n, T, inputs) and tokens of images (B, 1 + S, width), the first of them the whole image, into
    one space of `dim` numbers."""

    def __init__(self, inputs: int, width: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.norm_word, self.norm_text = nn.LayerNorm(inputs), nn.LayerNorm(inputs)
        self.word, self.text = nn.Linear(inputs, dim), nn.Linear(inputs, dim)
        self.share = nn.Linear(inputs, 1)
        self.place, self.picture = nn.Linear(width, dim), nn.Linear(width, dim)
        self.scales = nn.Parameter(torch.full((2,), START_SCALE).log())
        self.drop = nn.Dropout(dropout)

    def encode_texts(self, states: Tensor, mask: Tensor) -> AlignedText:
        """States (n, T, inputs) and mask (n, T), true where there is a word piece."""
        states = self.norm_word(states)
        shares = self.share(states).squeeze(-1).float().masked_fill(~mask, MASKED_LOGIT).softmax(1)  # (n, T)
        whole = self.norm_text(mean_over(states, mask))  # (n, inputs)
        return AlignedText(_unit(self.word(self.drop(states))), shares, _unit(self.text(self.drop(whole))))

    def encode_tokens(self, tokens: Tensor) -> Tensor:
        """(B, 1 + S, width) -> unit vectors (B, 1 + S, dim)."""
        tokens = self.drop(tokens)
        return torch.cat([_unit(self.picture(tokens[:, :1])), _unit(self.place(tokens[:, 1:]))], 1)

    def all_pairs(self, tokens: Tensor, text: AlignedText) -> tuple[Tensor, Tensor]:
        """shown (B, 1 + S, dim) and n texts -> logits (B, n) by words and by the whole."""
        parts = zip(
            torch.split(text.words, TEXTS_PER_BLOCK), torch.split(text.shares, TEXTS_PER_BLOCK), strict=True
        )
        by_words = torch.cat([self._words(tokens[:, 1:], *part) for part in parts], 1)  # (B, n)
        by_whole = cosines(tokens[:, 0], text.whole)  # (B, n)
        scales = self.scales.exp()
        return scales[0] * by_words, scales[1] * by_whole

    def pairs(self, tokens: Tensor, text: AlignedText) -> Tensor:
        """Pair by pair -> (P,), the sum of both logits."""
        near = (text.words @ tokens[:, 1:].to(text.words.dtype).transpose(1, 2)).amax(2).float()  # (P, T)
        by_words, by_whole = (near * text.shares).sum(1), (tokens[:, 0].float() * text.whole.float()).sum(1)
        return (self.scales.exp() * torch.stack([by_words, by_whole], 1)).sum(1)

    @staticmethod
    def _words(places: Tensor, words: Tensor, shares: Tensor) -> Tensor:
        """places (B, S, dim), words (n, T, dim), shares (n, T) -> (B, n)."""
        near = words.flatten(0, 1) @ places.flatten(0, 1).to(words.dtype).T  # (n * T, B * S)
        best = near.view(*shares.shape, *places.shape[:2]).amax(3).float()  # (n, T, B)
        return torch.einsum("nt,ntb->bn", shares, best)


def _unit(x: Tensor) -> Tensor:
    return fn.normalize(x.float(), dim=-1).to(x.dtype)
