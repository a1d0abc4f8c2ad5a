"""`compact`, the encoder that ships with the plugin: a ResNet50-V2 cut after stage 3 and a MiniLM cut to
three layers.

Image: 192 px -> stage 3 as 6 x 6 tokens, and the mean of stage 2 -> one transformer block without positions,
since a scene seen from above has no up -> attention pooling beside a plain mean. Text: WordPiece -> TextTower
-> one linear layer. Both end in unit vectors of one space, trained with InfoNCE (`training.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from rs_text_search_plugin.models.layers.attention import attend
from rs_text_search_plugin.models.layers.losses import MASKED_LOGIT, info_nce
from rs_text_search_plugin.models.layers.minilm import TextConfig, TextTower
from rs_text_search_plugin.models.layers.resnet50v2 import CHANNELS
from torch import Tensor, nn
from torch.nn import functional as fn

from .base import GRID, Batch, Maps, System, TrainingSetInfo

INITIAL_LOGIT_SCALE = 30.0
"""One over the temperature that training begins with."""


@dataclass(frozen=True)
class CompactSettings:
    """Shapes that are not fixed by the backbone."""

    text_layers: int = 3
    width: int = 384
    heads: int = 6
    blocks: int = 1
    dim: int = 384


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = attend(q, k, v).transpose(1, 2).reshape(b, t, d)
        x = x + self.drop(self.out(y))
        return x + self.drop(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class ImageHead(nn.Module):
    """tokens (B, 36, 1024) and detail (B, 512) -> (B, dim), not yet of unit length."""

    def __init__(self, config: CompactSettings, dropout: float = 0.1) -> None:
        super().__init__()
        width = config.width
        self.norm_tokens, self.norm_detail = nn.LayerNorm(CHANNELS[2]), nn.LayerNorm(CHANNELS[1])
        self.tokens, self.detail = nn.Linear(CHANNELS[2], width), nn.Linear(CHANNELS[1], width)
        self.blocks = nn.ModuleList(Block(width, config.heads, dropout) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, config.heads)
        self.pooled, self.mean = nn.Linear(width, config.dim), nn.Linear(CHANNELS[2], config.dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, detail: Tensor) -> Tensor:
        tokens = self.norm_tokens(tokens)
        return self.pool(self.token_states(tokens, detail), tokens)

    def token_states(self, tokens: Tensor, detail: Tensor) -> Tensor:
        """Normed tokens (B, 36, 1024) and detail (B, 512) -> (B, 37, width), each place and the detail."""
        x = torch.cat(
            [self.tokens(tokens), self.detail(self.norm_detail(detail)).unsqueeze(1)], 1
        )  # (B, 37, W)
        x = self.drop(x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)  # type: ignore[no-any-return]

    def pool(self, x: Tensor, tokens: Tensor) -> Tensor:
        """What `token_states` saw (B, 37, width), and the normed tokens -> (B, dim), not yet of unit length."""
        b, t, w = x.shape
        attention = self.attention(x).softmax(1)  # (B, 37, H)
        heads = x.view(b, t, attention.shape[-1], -1)
        pooled = torch.einsum("bth,bthd->bhd", attention, heads).reshape(b, w)
        return self.pooled(self.drop(pooled)) + self.mean(self.drop(tokens.mean(1)))  # type: ignore[no-any-return]

    def parts(self, tokens: Tensor, detail: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, P, 1024) and detail (B, 512) -> what each cell adds to the output (B, P, dim), and the output
        (B, dim), not yet of unit length.

        Pooling is linear once the attention is known, so that cells, detail and biases add up exactly."""
        tokens = self.norm_tokens(tokens)
        x = self.token_states(tokens, detail)  # (B, P + 1, W)
        b, t, w = x.shape
        heads = x.view(b, t, self.attention.out_features, -1)
        weighted = (self.attention(x).softmax(1).unsqueeze(-1) * heads).view(b, t, w)
        added = weighted @ self.pooled.weight.T  # (B, P + 1, dim)
        cells = added[:, :-1] + tokens @ self.mean.weight.T / tokens.shape[1]
        return cells, cells.sum(1) + added[:, -1] + self.pooled.bias + self.mean.bias


class TextHead(nn.Module):
    """(B, 384) sentence vector -> (B, dim), not yet of unit length."""

    def __init__(self, config: CompactSettings, dropout: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(384)
        self.linear = nn.Linear(384, config.dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.drop(self.norm(x)))  # type: ignore[no-any-return]


class Compact(System):
    """Both towers."""

    def __init__(self, vocabulary: Sequence[str], settings: Mapping[str, Any]) -> None:
        chosen = CompactSettings(**settings)
        super().__init__(vocabulary, asdict(chosen))
        self.dim = chosen.dim
        self.image_head = ImageHead(chosen)
        self.text = TextTower(TextConfig(len(vocabulary), chosen.text_layers))
        self.text_head = TextHead(chosen)
        self.train_heads: Any = nn.ParameterDict()

    def embed_images(self, maps: Maps) -> Tensor:
        """-> (B, dim) unit vectors."""
        return fn.normalize(self.image_head(maps.last, maps.middle.mean(1)).float(), dim=1)

    def relevance(self, maps: Maps, query: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of B images and a unit vector (dim,) -> their cosines (B,), and what each cell adds to them
        (B, GRID, GRID)."""
        cells, whole = self.image_head.parts(maps.last, maps.middle.mean(1))
        length = whole.norm(dim=1)
        return whole @ query / length, (cells @ query / length[:, None]).view(-1, GRID, GRID)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim) unit vectors."""
        ids, mask = self.tokenizer.batch(texts)
        device = self.text.word_embedding.weight.device
        return fn.normalize(self.text_head(self.text(ids.to(device), mask.to(device))).float(), dim=1)

    def prepare(self, info: TrainingSetInfo) -> None:
        """The temperature is learnt."""
        self.train_heads["scale"] = nn.Parameter(torch.tensor(INITIAL_LOGIT_SCALE).log())

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """InfoNCE, with what is wrong about an image among the texts it chooses from."""
        scale = self.train_heads["scale"].exp().clamp_max(100)
        images, texts = self.embed_images(batch.maps), self.embed_texts(batch.texts)
        rows = [row for row, text in enumerate(batch.hard_negatives) if text]
        wrong = None
        if rows:
            near = (images[rows] * self.embed_texts([batch.hard_negatives[row] for row in rows])).sum(1)
            wrong = images.new_full((len(images),), MASKED_LOGIT).index_copy(
                0, torch.tensor(rows).to(near.device), near
            )
        return {"info_nce": info_nce(images, texts, scale, batch.ignore_mask, wrong)}
