"""Reranking with a fusion encoder: a cheap first stage proposes candidates, the fusion encoder orders them.

A first stage (any matrix of similarities) names the k best candidates of every query; only those pairs go
through the fusion encoder; the rest keep their order behind them. n queries over m candidates cost n * k passes
instead of n * m. The idea is the retrieval filtering of MTGFE (Zhang X. et al., Remote Sensing 2023, 15(18),
4637); the implementation is ours.

`PairScorer` scores pairs by number, for evaluation; `FusionReranker` reranks the tiles of one search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.systems.base import INPUT_PX, FusionSystem
from torch import Tensor

from rs_text_search_plugin.contracts.arrays import F32, I64, U8
from rs_text_search_plugin.contracts.errors import ModelError

from .batches import Batches, joined
from .encoder import BATCH, resized, to_tensor
from .runtime import inference_autocast, training_dtype

PAIRS_PER_BATCH = 512
PairScoreFunction = Callable[[I64, I64], F32]
"""Numbers of queries (p,) and of candidates (p,) -> the score (p,) of each pair."""


def rerank_top_k(first: F32, score_pairs: PairScoreFunction, k: int, mix: float = 0.0) -> F32:
    """Similarities of n queries to m candidates (n, m) -> scores (n, m) whose order is the new ranking.

    Each query's k best candidates, and those that tie with the last of them, get `score_pairs` + mix * first;
    the others are below them, in their old order. Ties are included because identical captions tie, and which of
    them is proposed must not be arbitrary. With k >= m every pair is scored. For the other direction pass
    `first.T` and a function that takes its arguments the other way round."""
    k = min(k, first.shape[1])
    threshold = np.partition(first, -k, axis=1)[:, -k]  # (n,)
    queries, candidates = np.nonzero(first >= threshold[:, None])  # (p,) each
    fused = score_pairs(queries, candidates) + mix * first[queries, candidates]  # (p,)
    lowest = np.full(len(first), np.inf)
    np.minimum.at(lowest, queries, fused)
    found = first - first.max(1, keepdims=True) + lowest[:, None] - 1
    found[queries, candidates] = fused
    return found.astype(np.float32)  # type: ignore[no-any-return]


class PairScorer:
    """The fusion encoder over pairs of known images and texts, each given by its number."""

    def __init__(self, system: FusionSystem, keys: Tensor, texts: Sequence[str]) -> None:
        """`keys` (n, tokens, width) of n images, from `FusionSystem.image_keys`."""
        self.system, self.keys = system, keys
        self.texts = sorted(set(texts), key=lambda text: (len(text), text))
        row_of = {text: number for number, text in enumerate(self.texts)}
        self.distinct = np.array([row_of[text] for text in texts])

    @torch.inference_mode()
    def __call__(self, images: I64, texts: I64) -> F32:
        """Numbers of images (p,) and of texts (p,) -> logits (p,). Equal pairs are scored once."""
        pairs = self.distinct[texts] * len(self.keys) + images
        distinct, inverse = np.unique(
            pairs, return_inverse=True
        )  # sorted by text: each is encoded about once
        with inference_autocast(self.keys.device):
            batches = [
                self._logits(distinct[i : i + PAIRS_PER_BATCH])
                for i in range(0, len(distinct), PAIRS_PER_BATCH)
            ]
        return np.concatenate([np.empty(0, np.float32), *batches])[inverse]

    def by_text(self, texts: I64, images: I64) -> F32:
        """The same for queries that are texts."""
        return self(images, texts)

    def _logits(self, pairs: I64) -> F32:
        texts, images = np.divmod(pairs, len(self.keys))
        keys = self.keys[torch.from_numpy(images).to(self.keys.device)]
        return self.system.pair_logits(keys, [self.texts[number] for number in texts]).float().cpu().numpy()


@torch.inference_mode()
def open_pair_scorer(path: Path, tiles: Iterable[U8], texts: Sequence[str]) -> PairScorer:
    """The fusion encoder in a file over images (h, w, 3) of any size and texts. Raises ModelError."""
    system, cpu = load_fusion_system(path), torch.device("cpu")
    with inference_autocast(cpu):
        keys = [_image_keys(system, tile[None], cpu).to(training_dtype(cpu)) for tile in tiles]
    return PairScorer(system, torch.cat(keys), texts)


def load_fusion_system(path: Path) -> FusionSystem:
    """The fusion system in a file. Raises ModelError."""
    system = checkpoint.load(path)
    if not isinstance(system, FusionSystem):
        raise ModelError(f"{path.name} cannot rerank.", "Choose a model with a fusion encoder.")
    return system


class FusionReranker:
    """A Reranker (see contracts/protocols.py) over a fusion system that already is on `device`.

    The probability is sigmoid(slope * logit + offset); the constants are fitted on held-out pairs and stand in the
    registry."""

    def __init__(self, name: str, system: FusionSystem, device: str, constants: Mapping[str, float]) -> None:
        self.name, self.system, self.device = name, system, device
        self.batches = Batches(BATCH[torch.device(device).type])
        self.slope, self.offset = constants.get("slope", 1.0), constants.get("offset", 0.0)

    @property
    def batch(self) -> int:
        """Tiles it is best given at once."""
        return self.batches.size

    @torch.inference_mode()
    def pairs(self, text: str, tiles: U8) -> F32:
        """(n, h, w, 3) RGB uint8 -> (n,) probability that the text fits, 0-1. Raises ModelError when not even one
        tile fits into the GPU's memory."""

        def score(batch: U8) -> F32:
            keys = _image_keys(self.system, batch, torch.device(self.device))
            logits = self.system.pair_logits(keys, [text] * len(keys)).float()  # (n,)
            return (self.slope * logits + self.offset).sigmoid().cpu().numpy()

        with inference_autocast(torch.device(self.device)):
            return joined(self.batches.run(score, tiles))


def load(entry: Mapping[str, Any], path: Path, device: str) -> FusionReranker:
    """A registry entry (with its `name`, and perhaps constants under `rerank`) and its weights -> a reranker
    on `device`. Raises ModelError."""
    system = load_fusion_system(path).to(torch.device(device))
    return FusionReranker(entry["name"], system, device, entry.get("rerank", {}))


def _image_keys(system: FusionSystem, tiles: U8, device: torch.device) -> Tensor:
    """Tiles (n, h, w, 3) -> their keys, on the device of the system."""
    x = resized(to_tensor(tiles).to(device), INPUT_PX)
    return system.image_keys(system.encode_image(x.permute(0, 3, 1, 2).float() / 255))
