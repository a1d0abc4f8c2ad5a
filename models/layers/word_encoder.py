"""Word states for systems that look at single words: from a table of word vectors, or from a sentence model.

`vectors` is the field's usual start (a table as GloVe would be, here MiniLM's own input embedding); `sentence`
puts the short MiniLM of `compact` in its place, so that every word already knows its sentence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .minilm import TextConfig, TextTower, WordPiece

WORD_DIM = 384
KINDS = ("vectors", "sentence")


class WordEncoder(nn.Module):
    """n texts -> states (n, T, 384) and mask (n, T), true where there is a word piece.

    The first and the last piece are BERT's marks. `tower` starts from the text tower of `compact`; with kind
    "vectors" only its embedding is used."""

    def __init__(self, tokenizer: WordPiece, kind: str, dropout: float = 0.1) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind is one of {KINDS}, not {kind!r}")
        self.tokenizer = tokenizer
        self.tower = TextTower(TextConfig(len(tokenizer.vocabulary), 3 if kind == "sentence" else 0))
        self.drop = nn.Dropout(dropout)

    def forward(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        ids, mask = self.tokenizer.batch(texts)
        return self.embed(ids, mask)

    def embed(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Like `forward`, for ids (n, T) that are already there (and perhaps partly masked out)."""
        device = self.tower.word_embedding.weight.device
        mask = mask.to(device)
        return self.drop(self.tower.states(ids.to(device), mask)), mask


class BiGru(nn.Module):
    """states (n, T, inputs) and mask (n, T) -> what it read forward and backward, each (n, T, width); zero
    where there is no word."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.gru = nn.GRU(inputs, width, batch_first=True, bidirectional=True)

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        lengths = mask.sum(1).cpu()
        packed = pack_padded_sequence(states.float(), lengths, batch_first=True, enforce_sorted=False)
        with torch.autocast(states.device.type, enabled=False):
            read, _ = self.gru(packed)
        both, _ = pad_packed_sequence(read, batch_first=True, total_length=states.shape[1])  # (n, T, 2W)
        forward, backward = both.chunk(2, -1)
        return forward, backward


def mean_over(states: Tensor, mask: Tensor) -> Tensor:
    """states (n, T, W), mask (n, T) -> (n, W), the mean where the mask is true."""
    weight = mask.unsqueeze(-1).to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1).clamp_min(1)
