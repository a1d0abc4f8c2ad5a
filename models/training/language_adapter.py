"""Fits a language adapter (models.inference.language_adapter): sentences in, the vectors of their English out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from rs_text_search_plugin.models.inference.language_adapter import LanguageAdapter
from torch import Tensor, nn
from torch.nn import functional as fn

from rs_text_search_plugin.contracts.arrays import F32

SHARPNESS = 15.0
"""Length of the keys that the fit begins with."""


@dataclass(frozen=True)
class FitSettings:
    """How an adapter is fitted."""

    keys: int = 500
    """Keys of the softmax."""
    steps: int = 2500
    batch: int = 256
    lr: float = 2e-3
    weight_decay: float = 1e-4
    noise: float = 0.01
    """Standard deviation of what is added to each sentence's numbers."""
    contrast: float = 0.1
    """Weight of telling a batch's English phrases apart beside the cosine."""
    logit_scale: float = 20.0
    same: float = 0.95
    """Cosine from which on two English phrases of a batch are the same."""
    seed: int = 0


@dataclass(frozen=True)
class Examples:
    """n sentences (n, s), the vectors of their English (n, d), unit length, and how often each is drawn (n,)."""

    sentences: F32
    vectors: F32
    weights: F32


class AdapterModule(nn.Module):
    """The adapter while it is fitted."""

    def __init__(self, examples: Examples, keys: Tensor) -> None:
        super().__init__()
        wide, dim = examples.sentences.shape[1], examples.vectors.shape[1]
        self.keys = nn.Parameter(keys.T * SHARPNESS)  # (s, h)
        self.bias = nn.Parameter(torch.zeros(len(keys)))
        self.values = nn.Parameter(self._means(examples))
        self.linear = nn.Parameter(torch.zeros(wide, dim))
        self.offset = nn.Parameter(torch.zeros(dim))

    def forward(self, sentences: Tensor) -> Tensor:
        """(n, s) -> (n, d) unit length."""
        shares = (sentences @ self.keys + self.bias).softmax(dim=1)
        return fn.normalize(shares @ self.values + sentences @ self.linear + self.offset, dim=1)

    @torch.no_grad()
    def _means(self, examples: Examples) -> Tensor:
        """(h, d): what the examples near each key mean."""
        weights = torch.from_numpy(examples.weights)[:, None]
        shares = (torch.from_numpy(examples.sentences) @ self.keys).softmax(dim=1) * weights
        return shares.T @ torch.from_numpy(examples.vectors) / (shares.sum(dim=0)[:, None] + 1e-3)


def fit(examples: Examples, names: F32, probes: F32, settings: FitSettings) -> LanguageAdapter:
    """An adapter from examples. `names` (m, s) are sentences that its keys are drawn from; `probes` (p, d)."""
    torch.manual_seed(settings.seed)
    chosen = torch.randperm(len(names))[: settings.keys]
    module = AdapterModule(examples, torch.from_numpy(names)[chosen])
    optimizer = torch.optim.AdamW(module.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=settings.steps)
    sentences, vectors = torch.from_numpy(examples.sentences), torch.from_numpy(examples.vectors)
    for _ in range(settings.steps):
        drawn = torch.multinomial(torch.from_numpy(examples.weights), settings.batch)
        noisy = sentences[drawn] + settings.noise * torch.randn(settings.batch, sentences.shape[1])
        loss = _loss(module(noisy), vectors[drawn], settings)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    fitted = {name: value.detach().numpy().astype(np.float32) for name, value in module.named_parameters()}
    return LanguageAdapter(**fitted, probes=probes)


def _loss(found: Tensor, wanted: Tensor, settings: FitSettings) -> Tensor:
    """One minus the cosine, and cross-entropy of finding one's own English among the batch's."""
    own = torch.arange(len(found))
    same = (wanted @ wanted.T > settings.same) & ~torch.eye(len(found), dtype=torch.bool)
    logits = (settings.logit_scale * found @ wanted.T).masked_fill(same, -torch.inf)
    cosine = (found * wanted).sum(dim=1).mean()
    return 1 - cosine + settings.contrast * fn.cross_entropy(logits, own)
