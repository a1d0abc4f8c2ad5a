"""Raw likeness -> a score of 0-100 that means the same for every query and raster.

score = 100 * sigmoid(bias + cosine * s + reference * zr + background * zb), where s is the centred cosine of
text and tile, zr how many standard deviations it lies above what the query scores on the model's reference
tiles, and zb the same against tiles of the index itself. All three are linear in s, so a query on an index is
one slope and one offset. A model's constants stand in models/registry.toml under [NAME.calibration];
`engine/fitting.py` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import tomllib

from .types import F32, Encoder

STRONG, POSSIBLE = 80.0, 50.0
"""From these scores on a place is called strong or possible."""
BACKGROUND_TILES = 20_000
"""Tiles of an index that stand for all of them, evenly spread."""
PRIOR_TILES = 200.0
"""An index of so many tiles has as much say about its background as the reference tiles."""


@dataclass(frozen=True)
class Calibration:
    """A model's constants. `tiles` (m, dim) are its reference tiles, (0, dim) when it has none."""

    bias: float
    cosine: float
    reference: float
    background: float
    spread: float
    """Standard deviation of a usual text's scores over usual tiles."""
    tiles: F32


@dataclass(frozen=True)
class Line:
    """logit = slope * s + offset, for one query on one index."""

    slope: float
    offset: float

    def logits(self, scores: F32) -> F32:
        """(n,) raw -> (n,) logits."""
        return np.asarray(scores * np.float32(self.slope) + np.float32(self.offset), dtype=np.float32)

    def raw(self, score: float) -> float:
        """The raw likeness that gives a calibrated score."""
        return (float(np.log(score / (100 - score))) - self.offset) / self.slope


def percent(logits: F32) -> F32:
    """(n,) logits -> (n,) scores 0-100."""
    return np.asarray(100 / (1 + np.exp(-logits.clip(-30, 30))), dtype=np.float32)


DEFAULTS = {"bias": -6.0, "cosine": 0.0, "reference": 0.7, "background": 0.7, "spread": 0.1}
"""For a model without constants: 50 lies 4.3 standard deviations above the background, 80 at 5.3."""


def calibration(encoder: Encoder) -> Calibration:
    """The constants fitted to exactly this encoder, else the defaults."""
    registry = files("rs_text_search_plugin.models").joinpath("registry.toml")
    models = tomllib.loads(registry.read_text("utf-8")) if registry.is_file() else {}
    found = models.get(encoder.name, {}).get("calibration", {})
    none = np.zeros((0, encoder.dim), dtype=np.float32)
    if found.get("fingerprint") != encoder.fingerprint:
        return Calibration(**DEFAULTS, tiles=none)
    constants = {name: float(found[name]) for name in DEFAULTS}
    return Calibration(**constants, tiles=_reference_tiles(found.get("tiles"), none))


def _reference_tiles(name: str | None, none: F32) -> F32:
    if name is None:
        return none
    from safetensors.numpy import load  # noqa: PLC0415 - only models with reference tiles need it

    data = files("rs_text_search_plugin.models").joinpath(name).read_bytes()
    return np.asarray(load(data)["tiles"], dtype=np.float32)


def background(vectors: F32, most: int = BACKGROUND_TILES) -> F32:
    """(n, dim) -> at most `most` rows, evenly spread."""
    step = max(1, -(-len(vectors) // most))
    return np.asarray(vectors[::step], dtype=np.float32)


def lines(model: Calibration, queries: F32, tiles: F32, text: bool = True) -> list[Line]:
    """(k, dim) query vectors on an index whose background is `tiles` (n, dim) -> k lines.

    A query that is no pure text (`text` false) has cosines of another size; they are brought to the usual.
    """
    here = _moments(tiles @ queries.T)  # each (k,)
    usual = _moments(model.tiles @ queries.T) if len(model.tiles) else here
    trust = len(tiles) / (len(tiles) + PRIOR_TILES) if len(model.tiles) else 1.0
    mean = trust * here[0] + (1 - trust) * usual[0]
    deviation = trust * here[1] + (1 - trust) * usual[1]
    cosine = np.full(len(queries), model.cosine) if text else model.cosine * model.spread / usual[1]
    shift = np.zeros(len(queries)) if text else usual[0]
    slope = cosine + model.reference / usual[1] + model.background / deviation
    offset = (
        model.bias
        - cosine * shift
        - model.reference * usual[0] / usual[1]
        - model.background * mean / deviation
    )
    return [Line(float(a), float(b)) for a, b in zip(slope, offset, strict=True)]


def _moments(scores: F32) -> tuple[F32, F32]:
    """(n, k) -> mean and standard deviation (k,); a background without spread must not divide by nothing."""
    return scores.mean(axis=0), np.maximum(scores.std(axis=0), 1e-2)
