"""Raw similarity -> a score of 0-100 that means the same for every query and raster.

score = 100 * sigmoid(bias + cosine * gain * s + background * z). s is the cosine of text and tile. gain makes
up for imagery unlike what the model learned from, whose tiles resemble every word less: it compares how well tiles
of this index and usual tiles fit the best word of the vocabulary. z is how many standard deviations s lies above
what the query scores on tiles of the same index. All is linear in s, so a query on an index is one slope and one
offset, and ranking is left as it was. A model's constants stand in models/registry.toml under [NAME.calibration];
`python -m rs_text_search_plugin.engine.search.calibration_fit` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.models import registry

BACKGROUND_TILES = 20_000
"""Tiles of an index that stand for all of them, evenly spread."""
PRIOR_TILES = 50.0
"""An index of so many tiles has as much say about its background as the model's usual one."""
SMALLEST_SPREAD = 0.01
CLARITY_TILES = 500
GAIN_POWER, MOST_GAIN = 0.7, 1.5
"""Part of the lost clarity that is made up for: with all of it, things absent from unfamiliar imagery get claimed."""


@dataclass(frozen=True)
class Calibration:
    """A model's constants."""

    bias: float
    cosine: float
    background: float
    mean: float
    """Mean score of a usual text over usual tiles."""
    spread: float
    """Standard deviation of the same; 0 when not known."""
    clarity: float
    """Mean over usual tiles of the score of the vocabulary's best word; 0 when not known."""


DEFAULTS = Calibration(bias=-6.0, cosine=0.0, background=1.4, mean=0.0, spread=0.0, clarity=0.0)
"""For a model without constants: 50 lies 4.3 standard deviations above the index's background, 80 at 5.3."""


@dataclass(frozen=True)
class Line:
    """logit = slope * s + offset, for one query on one index."""

    slope: float
    offset: float

    def logits(self, scores: F32) -> F32:
        """(n,) raw -> (n,) logits."""
        return np.asarray(scores * np.float32(self.slope) + np.float32(self.offset), dtype=np.float32)

    def raw(self, score: float) -> float:
        """The raw similarity that gives a calibrated score."""
        return (float(np.log(score / (100 - score))) - self.offset) / self.slope


def calibration(encoder: Encoder) -> Calibration:
    """The constants fitted to exactly this encoder, else the defaults."""
    found = registry.constants(encoder.name)
    if found.get("fingerprint") != encoder.fingerprint:
        return DEFAULTS
    return Calibration(**{name: float(found[name]) for name in Calibration.__dataclass_fields__})


def percent(logits: F32) -> F32:
    """(n,) logits -> (n,) scores 0-100."""
    return np.asarray(100 / (1 + np.exp(-logits.clip(-30, 30))), dtype=np.float32)


def background(vectors: F32, most: int = BACKGROUND_TILES) -> F32:
    """(n, dim) -> at most `most` rows, evenly spread."""
    step = max(1, -(-len(vectors) // most))
    return np.asarray(vectors[::step], dtype=np.float32)


def clarity(tiles: F32, words: F32) -> float:
    """Mean over some of the tiles (n, dim) of the score of their best word (k, dim)."""
    return float((background(tiles, CLARITY_TILES) @ words.T).max(axis=1).mean())


def gain(model: Calibration, tiles: F32, words: F32) -> float:
    """What cosines of text on tiles (n, dim) are multiplied by to mean the same as on usual imagery, 1-MOST_GAIN."""
    if not model.clarity:
        return 1.0
    trust = len(tiles) / (len(tiles) + PRIOR_TILES)
    here = trust * clarity(tiles, words) + (1 - trust) * model.clarity
    return float(np.clip((model.clarity / max(here, 1e-3)) ** GAIN_POWER, 1, MOST_GAIN))


def lines(model: Calibration, queries: F32, tiles: F32, text_gain: float | None) -> list[Line]:
    """(k, dim) query vectors on an index whose background is `tiles` (n, dim) -> k lines.

    `text_gain` is None for a query with marked tiles in it: its cosines have another size, and are brought to
    the usual one by their spread.
    """
    mean, spread = usual(model, tiles @ queries.T)
    text = text_gain is not None
    scale = np.full_like(spread, text_gain) if text else model.spread / spread
    shift = np.zeros_like(mean) if text else model.mean - mean * scale
    slope = model.cosine * scale + model.background / spread
    offset = model.bias + model.cosine * shift - model.background * mean / spread
    return [Line(float(a), float(b)) for a, b in zip(slope, offset, strict=True)]


def usual(model: Calibration, scores: F32) -> tuple[F32, F32]:
    """(n, k) scores of background tiles -> mean and standard deviation (k,), drawn to the model's when n is small."""
    mean, spread = scores.mean(axis=0), scores.std(axis=0)
    trust = len(scores) / (len(scores) + PRIOR_TILES) if model.spread else 1.0
    mean, spread = trust * mean + (1 - trust) * model.mean, trust * spread + (1 - trust) * model.spread
    return mean, np.maximum(spread, SMALLEST_SPREAD)
