"""`compact`, the encoder that ships with the plugin: a ResNet50-V2 cut after stage 3 and a MiniLM cut to
three layers.

Image: 192 px -> stage 3, pooled to 6 x 6 tokens, and the mean of stage 2 -> one transformer block without
positions, since a scene seen from above has no up -> attention pooling beside a plain mean. Text: WordPiece
-> TextTower -> one residual layer. Both end in unit vectors of one space, trained with a contrastive loss
(`training.py`).

The file holds weights as int8 with one fp16 scale for each output channel (embeddings: for each word),
everything else fp16, and the vocabulary and the shapes in its header, so that one file is one model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as fn

from rs_text_search_plugin.engine.errors import ModelError

from .backbones import CHANNELS, ResNet50V2
from .text import TextConfig, TextTower, WordPiece

INPUT_PX = 192
GRID = 6
"""Tokens a side: stage 3's 12 x 12 map averaged two by two."""
SCALE_SUFFIX = "|scale"


@dataclass(frozen=True)
class CompactConfig:
    """Shapes that are not fixed by the backbone."""

    vocabulary: int
    text_layers: int = 3
    width: int = 384
    heads: int = 6
    blocks: int = 1
    dim: int = 384


def pool_maps(middle: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Stage 2 (B, 512, 24, 24) and stage 3 (B, 1024, 12, 12) -> tokens (B, 36, 1024) and detail (B, 512)."""
    return fn.adaptive_avg_pool2d(last, GRID).flatten(2).transpose(1, 2), middle.mean((2, 3))


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
        y = fn.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d)
        x = x + self.drop(self.out(y))
        return x + self.drop(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class ImageHead(nn.Module):
    """tokens (B, 36, 1024) and detail (B, 512) -> (B, dim), not yet of unit length."""

    def __init__(self, config: CompactConfig, dropout: float = 0.1) -> None:
        super().__init__()
        width = config.width
        self.norm_tokens, self.norm_detail = nn.LayerNorm(CHANNELS[2]), nn.LayerNorm(CHANNELS[1])
        self.tokens, self.detail = nn.Linear(CHANNELS[2], width), nn.Linear(CHANNELS[1], width)
        self.blocks = nn.ModuleList(Block(width, config.heads, dropout) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width)
        self.attend = nn.Linear(width, config.heads)
        self.pooled, self.mean = nn.Linear(width, config.dim), nn.Linear(CHANNELS[2], config.dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, detail: Tensor) -> Tensor:
        tokens = self.norm_tokens(tokens)
        x = torch.cat(
            [self.tokens(tokens), self.detail(self.norm_detail(detail)).unsqueeze(1)], 1
        )  # (B, 37, W)
        x = self.drop(x)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        b, t, w = x.shape
        attention = self.attend(x).softmax(1)  # (B, 37, H)
        heads = x.view(b, t, attention.shape[-1], -1)
        pooled = torch.einsum("bth,bthd->bhd", attention, heads).reshape(b, w)
        return self.pooled(self.drop(pooled)) + self.mean(self.drop(tokens.mean(1)))  # type: ignore[no-any-return]


class TextHead(nn.Module):
    """(B, 384) sentence vector -> (B, dim), not yet of unit length."""

    def __init__(self, config: CompactConfig, dropout: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(384)
        self.straight = nn.Linear(384, config.dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.straight(self.drop(self.norm(x)))  # type: ignore[no-any-return]


class Compact(nn.Module):
    """Both towers. `images` and `texts` return unit vectors (B, dim)."""

    def __init__(self, config: CompactConfig, vocabulary: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = WordPiece(vocabulary)
        self.backbone = ResNet50V2()
        self.image_head = ImageHead(config)
        self.text = TextTower(TextConfig(config.vocabulary, config.text_layers))
        self.text_head = TextHead(config)

    def images(self, x: Tensor) -> Tensor:
        """(B, 3, INPUT_PX, INPUT_PX) RGB in 0-1."""
        x = x.to(self.backbone.stem.weight.dtype).contiguous(memory_format=torch.channels_last)
        tokens, detail = pool_maps(*self.backbone(x))
        kind = self.image_head.mean.weight.dtype
        return fn.normalize(self.image_head(tokens.to(kind), detail.to(kind)), dim=1)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim)."""
        ids, mask = self.tokenizer.batch(texts)
        device = self.text.words.weight.device
        return fn.normalize(self.text_head(self.text(ids.to(device), mask.to(device))), dim=1)


def save(model: Compact, path: Path) -> None:
    """Write the shipped form: int8 matrices, fp16 rest."""
    tensors: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        if value.dim() > 1 and min(value.shape[:2]) > 3:
            tensors[name], tensors[name + SCALE_SUFFIX] = quantised(value)
        else:
            tensors[name] = value.half().contiguous()
    header = {"model": "compact", "config": json.dumps(asdict(model.config))}
    save_file(tensors, path, {**header, "vocabulary": "\n".join(model.tokenizer.vocabulary)})


def load(path: Path) -> Compact:
    """Read what `save` wrote, as fp32. Raises ModelError when the file is damaged or another model's."""
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model = Compact(CompactConfig(**json.loads(header["config"])), header["vocabulary"].split("\n"))
        model.load_state_dict(restored(stored))
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ModelError(f"{path} is not a `compact` model: {error}", "Install the plugin again.") from error
    return model.eval()


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """float (n, ...) -> int8 (n, ...) and fp16 scale (n,), symmetric, chosen so that no value saturates."""
    flat = weight.flatten(1).float()
    scale = (flat.abs().amax(1).clamp_min(1e-8) / 127).half()
    scale = torch.where(scale == 0, torch.finfo(torch.float16).tiny, scale)
    steps = (flat / scale.float()[:, None]).round().clamp(-127, 127)
    return steps.to(torch.int8).view(weight.shape), scale


def restored(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of what `save` does to a state: fp32 tensors under their own names."""
    state = {}
    for name, value in stored.items():
        if name.endswith(SCALE_SUFFIX):
            continue
        scale = stored.get(name + SCALE_SUFFIX)
        spread = value.float()
        state[name] = spread if scale is None else spread * scale.float().view(-1, *[1] * (value.dim() - 1))
    return state
