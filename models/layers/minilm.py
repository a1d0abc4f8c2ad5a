"""WordPiece tokens and a small BERT: the text side of `compact`.

The tokenizer follows BERT's uncased one (Devlin et al. 2019): lower case, accents stripped, punctuation
apart, then the longest known pieces from the left. The tower is MiniLM-L6-H384 (Wang et al. 2020) with fewer
layers and a shorter vocabulary."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from .attention import attend

MAX_TOKENS = 64
TEXTS_PER_BATCH = 64
"""Texts that go through a network at once, all of about one length, so that little is padded."""
PAD, UNKNOWN, CLS, SEP = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL = (PAD, UNKNOWN, CLS, SEP)


class WordPiece:
    """Text -> ids of the longest pieces a vocabulary knows. Pieces inside a word start with ##."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.vocabulary = tuple(vocabulary)
        self._ids = {piece: number for number, piece in enumerate(self.vocabulary)}
        self._known: dict[str, tuple[int, ...]] = {}

    def ids(self, text: str) -> list[int]:
        """Ids with the opening and closing mark, at most MAX_TOKENS of them."""
        body = [number for word in basic_tokens(text) for number in self._word(word)]
        return [self._ids[CLS], *body[: MAX_TOKENS - 2], self._ids[SEP]]

    def batch(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """n texts -> ids (n, t) and mask (n, t), true where there is a token."""
        rows = [self.ids(text) for text in texts]
        ids = torch.full((len(rows), max(map(len, rows))), self._ids[PAD])
        for target, row in zip(ids, rows, strict=True):
            target[: len(row)] = torch.tensor(row)
        return ids, ids != self._ids[PAD]

    def _word(self, word: str) -> tuple[int, ...]:
        if word not in self._known:
            self._known[word] = tuple(self._pieces(word)) if len(word) <= 100 else (self._ids[UNKNOWN],)
        return self._known[word]

    def _pieces(self, word: str) -> list[int]:
        found, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if prefix + word[start:end] in self._ids), None)
            if end is None:
                return [self._ids[UNKNOWN]]
            found.append(self._ids[prefix + word[start:end]])
            start = end
        return found


def basic_tokens(text: str) -> Iterator[str]:
    """Lower-case words and single punctuation marks, accents stripped, control characters dropped."""
    spread = []
    for char in unicodedata.normalize("NFD", text.lower()):
        kind = unicodedata.category(char)
        if kind == "Mn" or (kind.startswith("C") and not char.isspace()):
            continue
        alone = kind[0] in "PS" or _is_ideograph(char)
        spread.append(f" {char} " if alone else char)
    yield from "".join(spread).split()


def _is_ideograph(char: str) -> bool:
    return "\u3400" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff"


@dataclass(frozen=True)
class TextConfig:
    """Shape of the tower; 384 wide with 12 heads is MiniLM's."""

    vocabulary: int
    layers: int = 3
    width: int = 384
    heads: int = 12


class Layer(nn.Module):
    """One post-norm transformer layer, as in BERT."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width, eps=1e-12)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        b, t, d = x.shape
        q, k, v = (
            self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        )  # (B, H, T, D/H) each
        y = attend(q, k, v, mask[:, None, None])
        x = self.norm1(x + self.out(y.transpose(1, 2).reshape(b, t, d)))
        return self.norm2(x + self.narrow(fn.gelu(self.widen(x))))  # type: ignore[no-any-return]


class TextTower(nn.Module):
    """ids and mask (B, T) -> (B, width), the mean over the words."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.word_embedding = nn.Embedding(config.vocabulary, config.width)
        self.position_embedding = nn.Embedding(MAX_TOKENS, config.width)
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        self.layers = nn.ModuleList(Layer(config.width, config.heads) for _ in range(config.layers))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        order, parts = batches_by_length(mask)
        found = [self._mean(ids[rows, :longest], mask[rows, :longest]) for rows, longest in parts]
        return torch.cat(found)[order.argsort()]

    def _mean(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.states(ids, mask)
        weight = mask.unsqueeze(-1).to(x.dtype)
        return (x * weight).sum(1) / weight.sum(1)  # type: ignore[no-any-return]

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask (B, T) -> one state for each piece, (B, T, width)."""
        x = self.norm(self.word_embedding(ids) + self.position_embedding.weight[: ids.shape[1]])  # (B, T, D)
        for layer in self.layers:
            x = layer(x, mask)
        return x  # type: ignore[no-any-return]


def batches_by_length(mask: Tensor) -> tuple[Tensor, list[tuple[Tensor, int]]]:
    """mask (n, T) -> the rows from the shortest to the longest, and the same in parts, with how long each is."""
    lengths = mask.sum(1)
    order = lengths.argsort()
    return order, [(rows, int(lengths[rows[-1]])) for rows in torch.split(order, TEXTS_PER_BATCH)]


def from_minilm(tensors: dict[str, Tensor], layers: Sequence[int], kept: Sequence[int]) -> dict[str, Tensor]:
    """Hugging Face's BERT names -> a TextTower state with some of the layers and some rows of the word
    embedding."""
    # every text is segment 0: its embedding is a constant and goes into the positions
    positions = (
        tensors["embeddings.position_embeddings.weight"]
        + tensors["embeddings.token_type_embeddings.weight"][0]
    )
    state = {
        "word_embedding.weight": tensors["embeddings.word_embeddings.weight"][list(kept)],
        "position_embedding.weight": positions[:MAX_TOKENS],
        "norm.weight": tensors["embeddings.LayerNorm.weight"],
        "norm.bias": tensors["embeddings.LayerNorm.bias"],
    }
    names = {
        "out": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "widen": "intermediate.dense",
        "narrow": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for target, source in enumerate(layers):
        for kind in ("weight", "bias"):
            old, new = f"encoder.layer.{source}", f"layers.{target}"
            parts = [tensors[f"{old}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            state[f"{new}.qkv.{kind}"] = torch.cat(parts)
            for ours, theirs in names.items():
                state[f"{new}.{ours}.{kind}"] = tensors[f"{old}.{theirs}.{kind}"]
    return state
