"""MGRM-EL-style: CNN and transformer on both sides, masks that pick out regions and words, entity losses.

After Zhang, Li and Mei, "Exploring uni-modal feature learning on entities and relations for remote sensing
cross-modal text-image retrieval", IEEE TGRS 61, 2023. Neither code nor the full text was to be had.

Theirs, from the abstract: transformer encoders joined with CNNs in each modality; mask-guided attention that
learns the salient regions and words; an entity loss within each modality, where every image is an image
entity and similar texts are merged into one text entity, beside the usual loss between the modalities.

Our inference, everything else: a saliency m in 0-1 of each region and phrase, judged once from what the CNN
says; log m added to every attention score on that key, and m / sum(m) as the weights of the pooling, so that
m = 0 takes a token out altogether; entities told apart by classifiers of unit weights, as in the instance loss
of Zheng et al. (ACM TOMM 2020), one for each modality and nothing shared; similar texts by TF-IDF
(`entities.py`).

Where we deviate from what we infer: the CNN of the visual side is the frozen backbone, so that training reads
stored maps; and the classifiers compare with the batch's own entities and a random sample of the others, each
standing for its share (`sampled` = 0 takes them all). The sparsity of m is measured against the largest m of a
image or text: a plain mean could be lowered by shrinking all alike, which changes no vector."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rs_text_search_plugin.models.layers.attention import attend
from rs_text_search_plugin.models.layers.losses import info_nce, triplet
from rs_text_search_plugin.models.layers.resnet50v2 import CHANNELS
from rs_text_search_plugin.models.layers.word_encoder import WORD_DIM, WordEncoder
from torch import Tensor, nn
from torch.nn import functional as fn

from rs_text_search_plugin.contracts.arrays import I64

from .base import GRID, GRID_CELLS, Batch, Maps, System, TrainingSetInfo

LOSSES = ("triplet", "info_nce")
GRAMS = (1, 2, 3)
"""Word pieces a convolution sees at once."""


@dataclass(frozen=True)
class MgrmElSettings:
    """Shapes, losses, and a switch for each module."""

    text: str = "vectors"
    width: int = 256
    heads: int = 8
    layers: int = 2
    dim: int = 256
    dropout: float = 0.1
    transformer: bool = True
    """False: CNN only."""
    visual_mask: bool = True
    textual_mask: bool = True
    image_entities: bool = True
    text_entities: bool = True
    merge: bool = True
    """False: every caption is an entity of its own."""
    theta: float = 0.95
    """TF-IDF cosine from which two captions are one entity. On 40,000 RSICD, UCM and RESISC45 captions 0.95
    leaves 31,000 entities, the largest of 50 captions; from 0.85 down chains join what does not belong
    together."""
    loss: str = "triplet"
    margin: float = 0.2
    entity_weight: float = 0.2
    entity_scale: float = 20.0
    sampled: int = 2048
    """Entities besides the batch's own that a step compares with; 0: all."""
    sparsity: float = 0.0
    """Weight of the term that keeps masks narrow."""


class MgrmEl(System):
    """Two towers of the same make, and two classifiers that only training needs."""

    def __init__(self, vocabulary: Sequence[str], settings: Mapping[str, Any]) -> None:
        super().__init__(vocabulary, settings)
        self.config = config = MgrmElSettings(**settings)
        if config.loss not in LOSSES:
            raise ValueError(f"loss is one of {LOSSES}, not {config.loss!r}")
        self.dim = config.dim
        self.regions = Regions(config.width, config.dropout)
        self.word_encoder = WordEncoder(self.tokenizer, config.text, config.dropout)
        self.phrase_encoder = PhraseEncoder(config.width, config.dropout)
        self.visual = MaskedEncoder(config, config.visual_mask)
        self.textual = MaskedEncoder(config, config.textual_mask)
        self.sharpness = nn.Parameter(torch.tensor(1 / 0.07).log())  # of info_nce: minus log temperature
        self.train_heads = nn.ModuleDict()

    def embed_images(self, maps: Maps) -> Tensor:
        return self._look(maps)[0]

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        return self._read(texts)[0]

    def prepare(self, info: TrainingSetInfo) -> None:
        config = self.config
        if config.image_entities:
            self.train_heads["image_entity"] = EntityClassifier(torch.arange(info.image_count), config)
        if config.text_entities:
            of = _text_entities(info.texts, config.theta) if config.merge else np.arange(len(info.texts))
            self.train_heads["text_entity"] = EntityClassifier(torch.from_numpy(of), config)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        images, seen = self._look(batch.maps)
        texts, read = self._read(batch.texts)
        found = {"match": self._match(images, texts, batch.ignore_mask)}
        if config.image_entities:
            found["image_entity"] = config.entity_weight * self.train_heads["image_entity"](
                images, batch.images
            )
        if config.text_entities:
            found["text_entity"] = config.entity_weight * self.train_heads["text_entity"](
                texts, batch.sentences
            )
        if config.sparsity:
            found["sparsity"] = config.sparsity * (spread(seen) + spread(read))
        return found

    def _look(self, maps: Maps) -> tuple[Tensor, Tensor]:
        tokens = self.regions(maps)
        real = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return self.visual(tokens, real)  # type: ignore[no-any-return]

    def _read(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        states, real = self.word_encoder(texts)
        return self.textual(self.phrase_encoder(states, real), real)  # type: ignore[no-any-return]

    def _match(self, images: Tensor, texts: Tensor, ignore_mask: Tensor) -> Tensor:
        if self.config.loss == "triplet":
            return triplet(images, texts, self.config.margin, ignore_mask)
        return info_nce(images, texts, self.sharpness.exp().clamp_max(100), ignore_mask)


def _text_entities(texts: Sequence[str], theta: float) -> I64:
    from .text_entities import entities  # noqa: PLC0415 - scikit-learn is installed for training only

    return entities(texts, theta)


class Regions(nn.Module):
    """Maps of B images -> tokens (B, PLACES, width): stage 3 and stage 2 of each place, and where it is."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm_middle, self.norm_last = nn.LayerNorm(CHANNELS[1]), nn.LayerNorm(CHANNELS[2])
        self.middle, self.last = nn.Linear(CHANNELS[1], width), nn.Linear(CHANNELS[2], width)
        self.row = nn.Parameter(torch.randn(GRID, 1, width) * 0.02)
        self.column = nn.Parameter(torch.randn(1, GRID, width) * 0.02)
        self.drop = nn.Dropout(dropout)

    def forward(self, maps: Maps) -> Tensor:
        middle, last = (stage.to(self.row.dtype) for stage in maps)
        x = self.last(self.norm_last(last)) + self.middle(self.norm_middle(middle))  # (B, PLACES, W)
        where = (self.row + self.column).view(GRID_CELLS, -1)  # (PLACES, W)
        return self.drop(x + where)  # type: ignore[no-any-return]


class PhraseEncoder(nn.Module):
    """Word states (n, T, 384) and which are real (n, T) -> tokens (n, T, width).

    Each is the largest answer, channel by channel, of convolutions over one, two and three pieces (the phrase
    level of Lu et al., NeurIPS 2016). Padding counts as silence."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.grams = nn.ModuleList(nn.Conv1d(WORD_DIM, width, size) for size in GRAMS)
        self.norm = nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, states: Tensor, real: Tensor) -> Tensor:
        x = states.masked_fill(~real.unsqueeze(-1), 0).transpose(1, 2)  # (n, 384, T)
        sides = [((size - 1) // 2, size // 2) for size in GRAMS]
        heard = [
            gram(fn.pad(x, side)) for gram, side in zip(self.grams, sides, strict=True)
        ]  # (n, W, T) each
        largest = torch.stack(heard).amax(0).transpose(1, 2)  # (n, T, W)
        return self.drop(self.norm(largest))  # type: ignore[no-any-return]


class Saliency(nn.Module):
    """tokens (n, T, width) -> log m (n, T), 0 for what counts fully, towards minus infinity for what does
    not."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.judge = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width // 4), nn.ReLU())
        self.verdict = nn.Linear(width // 4, 1)
        nn.init.ones_(self.verdict.bias)  # most is seen at first: m = 0.73

    def forward(self, tokens: Tensor) -> Tensor:
        return fn.logsigmoid(self.verdict(self.judge(tokens)).squeeze(-1).float())


class Relations(nn.Module):
    """Pre-norm transformer layer: tokens (n, T, width) and log m (n, T) -> tokens (n, T, width).

    Mask-guided attention: the share token i gives to token j is proportional to m_j exp(q_i k_j / sqrt(d))."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, log_m: Tensor) -> Tensor:
        n, t, w = x.shape
        q, k, v = (
            self.qkv(self.norm1(x)).view(n, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        )  # (n, H, T, W/H) each
        bias = log_m[:, None, None].to(q.dtype)  # (n, 1, 1, T)
        y = attend(q, k, v, bias).transpose(1, 2).reshape(n, t, w)
        x = x + self.drop(self.out(y))
        return x + self.drop(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class MaskedEncoder(nn.Module):
    """tokens (n, T, width) and which are real (n, T) -> unit vectors (n, dim) and log m (n, T).

    m is 0 where a token is not real, and 1 for all others when not `masked`."""

    def __init__(self, config: MgrmElSettings, masked: bool) -> None:
        super().__init__()
        layers = config.layers if config.transformer else 0
        self.saliency = Saliency(config.width) if masked else None
        self.blocks = nn.ModuleList(
            Relations(config.width, config.heads, config.dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, config.dim)

    def forward(self, tokens: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        log_m = tokens.new_zeros(real.shape) if self.saliency is None else self.saliency(tokens)
        log_m = log_m.float().masked_fill(~real, -math.inf)  # (n, T)
        for block in self.blocks:
            tokens = block(tokens, log_m)
        share = log_m.softmax(1).to(tokens.dtype)  # m / sum(m), (n, T)
        pooled = torch.einsum("nt,ntw->nw", share, self.norm(tokens))
        return fn.normalize(self.out(pooled).float(), dim=1), log_m


class EntityClassifier(nn.Module):
    """unit vectors (B, dim) and the numbers (B,) of what they show -> cross-entropy over entities.

    `of` (n,) tells the entity of each number. Logits are cosines with a unit weight for each entity, times a
    scale. When entities are sampled, one that was drawn counts as often as it stands for others, so that the
    sum under the softmax is right on average."""

    def __init__(self, of: Tensor, config: MgrmElSettings) -> None:
        super().__init__()
        self.scale, self.sampled = config.entity_scale, config.sampled
        self.of: Tensor
        self.register_buffer("of", of)
        self.weight = nn.Parameter(torch.randn(int(of.max()) + 1, config.dim) * config.dim**-0.5)

    def forward(self, vectors: Tensor, numbers: Tensor) -> Tensor:
        present, target = torch.unique(self.of[numbers], return_inverse=True)
        drawn, stands_for = self._others(present)
        weight = fn.embedding(torch.cat([present, drawn]), self.weight)  # (E, dim)
        with torch.autocast(vectors.device.type, enabled=False):
            logits = self.scale * vectors.float() @ fn.normalize(weight.float(), dim=1).T  # (B, E)
        more = torch.cat([torch.zeros_like(present), torch.ones_like(drawn)]) * math.log(stands_for)
        return fn.cross_entropy(logits + more, target)

    def _others(self, present: Tensor) -> tuple[Tensor, float]:
        """Entities that are not in the batch, all or a sample, and how many each of them stands for."""
        absent = torch.ones(len(self.weight), dtype=torch.bool, device=present.device)
        absent[present] = False
        others = absent.nonzero().squeeze(1)
        if not self.sampled or len(others) <= self.sampled:
            return others, 1.0
        chosen = torch.randperm(len(others), device=others.device)[: self.sampled]
        return others[chosen], len(others) / self.sampled


def spread(log_m: Tensor) -> Tensor:
    """log m (n, T), minus infinity where there is no token -> mean m over the largest m of its row."""
    share = (log_m - log_m.amax(1, keepdim=True)).exp()  # (n, T)
    return (share.sum(1) / log_m.isfinite().sum(1)).mean()
