"""Retrieval filtering: what is cheap proposes, the fusion encoder decides.

A first stage (any matrix of similarities) names the k best candidates of every query; only those pairs go
through the fusion encoder; the rest keep their order behind them. n queries over m candidates cost n * k passes
instead of n * m. The idea is MTGFE's (Zhang X. et al., Remote Sensing 2023, 15(18), 4637); how it is done is
ours.

`Scores` is the fusion encoder for pairs by number, as a measurement wants it; `FusionReranker` is the engine's
second look at the tiles of one search."""

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
from .encoder import BATCH, squares
from .runtime import floats, precision

PAIRS = 512
"""Pairs scored at once: bounds the memory."""

PairScores = Callable[[I64, I64], F32]
"""Numbers of queries (p,) and of candidates (p,) -> the score (p,) of each pair."""


def filtered(first: F32, score_pairs: PairScores, k: int, mix: float = 0.0) -> F32:
    """Similarities of n queries to m candidates (n, m) -> scores (n, m) whose order is the new ranking.

    Each query's k best candidates, and those that tie with the last of them, have `score_pairs` + mix * first;
    the others are below them, in their old order. Captions that read alike tie: without the tied ones, chance
    would decide which of them is proposed. With k = m or more that is the fusion encoder's score of every
    pair. The other direction is `filtered(first.T, ...)` with a function that takes its arguments the other
    way round."""
    last = np.partition(first, -min(k, first.shape[1]), axis=1)[:, -min(k, first.shape[1])]  # (n,)
    queries, candidates = np.nonzero(first >= last[:, None])  # (p,) each
    fused = score_pairs(queries, candidates) + mix * first[queries, candidates]  # (p,)
    lowest = np.full(len(first), np.inf)
    np.minimum.at(lowest, queries, fused)
    found = first - first.max(1, keepdims=True) + lowest[:, None] - 1
    found[queries, candidates] = fused
    return found.astype(np.float32)  # type: ignore[no-any-return]


class Scores:
    """The fusion encoder over pairs of known pictures and texts, each given by its number."""

    def __init__(self, system: FusionSystem, keys: Tensor, texts: Sequence[str]) -> None:
        """`keys` (n, tokens, width) of n pictures, as the system made them."""
        self.system, self.keys = system, keys
        self.texts = sorted(set(texts), key=lambda text: (len(text), text))
        place = {text: number for number, text in enumerate(self.texts)}
        self.places = np.array([place[text] for text in texts])

    @torch.inference_mode()
    def __call__(self, pictures: I64, texts: I64) -> F32:
        """Numbers of pictures (p,) and of texts (p,) -> logits (p,).

        A pair that is asked for twice, perhaps by captions that read alike, is scored once."""
        pairs = self.places[texts] * len(self.keys) + pictures
        distinct, back = np.unique(pairs, return_inverse=True)  # text by text: each is read about once
        found = np.empty(len(distinct), np.float32)
        with precision(self.keys.device):
            for start in range(0, len(distinct), PAIRS):
                text, picture = np.divmod(distinct[start : start + PAIRS], len(self.keys))
                keys = self.keys[torch.from_numpy(picture).to(self.keys.device)]
                logits = self.system.match(keys, [self.texts[number] for number in text])
                found[start : start + PAIRS] = logits.float().cpu().numpy()
        return found[back]

    def by_text(self, texts: I64, pictures: I64) -> F32:
        """The same for queries that are texts."""
        return self(pictures, texts)


@torch.inference_mode()
def open_scores(path: Path, tiles: Iterable[U8], texts: Sequence[str]) -> Scores:
    """The fusion encoder in a file over pictures (h, w, 3) of any size and texts. Raises ModelError."""
    system, cpu = open_fusion(path), torch.device("cpu")
    with precision(cpu):
        keys = [_keys(system, tile[None], cpu).to(floats(cpu)) for tile in tiles]
    return Scores(system, torch.cat(keys), texts)


def _keys(system: FusionSystem, tiles: U8, device: torch.device) -> Tensor:
    """Tiles (n, h, w, 3) -> their keys, on the device where the system is."""
    x = squares(torch.from_numpy(np.require(tiles, requirements="W")).to(device), INPUT_PX)  # or torch warns
    return system.keys(system.glance(x.permute(0, 3, 1, 2).float() / 255))


def open_fusion(path: Path) -> FusionSystem:
    """The fusion system in a file. Raises ModelError."""
    system = checkpoint.load(path)
    if not isinstance(system, FusionSystem):
        raise ModelError(f"{path.name} cannot rerank.", "Choose a model with a fusion encoder.")
    return system


class FusionReranker:
    """A Reranker (see contracts/protocols.py) over a fusion system that already is on `device`.

    The probability is sigmoid(slope * logit + offset); the constants are fitted on held-out pairs and stand in the
    registry."""

    def __init__(
        self, name: str, system: FusionSystem, device: torch.device, constants: Mapping[str, float]
    ) -> None:
        self.name, self.system, self.device = name, system, str(device)
        self.batches = Batches(BATCH[device.type])
        self.slope, self.offset = constants.get("slope", 1.0), constants.get("offset", 0.0)

    @property
    def batch(self) -> int:
        """Tiles it is best given at once."""
        return self.batches.size

    def pairs(self, text: str, tiles: U8) -> F32:
        """(n, h, w, 3) RGB uint8 -> (n,) probability that the text fits, 0-1."""
        place = torch.device(self.device)

        def judge(part: U8) -> F32:
            keys = _keys(self.system, part, place)
            logits = self.system.match(keys, [text] * len(keys)).float()  # (n,)
            return (self.slope * logits + self.offset).sigmoid().cpu().numpy()  # type: ignore[no-any-return]

        with torch.inference_mode(), precision(place):
            return joined(self.batches.run(judge, tiles))


def load(entry: Mapping[str, Any], path: Path, device: str) -> FusionReranker:
    """A registry entry (with its `name`, and perhaps constants under `rerank`) and its weights -> a reranker
    on `device`. Raises ModelError."""
    place = torch.device(device)
    system = open_fusion(path).to(place)
    return FusionReranker(entry["name"], system, place, entry.get("rerank", {}))
