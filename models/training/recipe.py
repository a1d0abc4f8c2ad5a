"""How each system is trained: recipes.toml as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import tomllib

from rs_text_search_plugin.contracts.errors import ModelError


@dataclass(frozen=True)
class Recipe:
    """One training run over stored maps, or over live pictures when `backbone` is above 0."""

    epochs: int = 12
    batch: int = 256
    rate: float = 1e-3
    """Peak learning rate of AdamW; warm-up over 4 % of the steps, then half a cosine down to 1 %."""
    decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.999)
    keep: float = 0.99
    """Memory of the moving average of weights, which is what is measured and saved."""
    clip: float = 5.0
    """Largest norm of a gradient."""
    text: float = 0.5
    """The sentence model's learning rate as a share of `rate`."""
    text_epochs: int = 99
    """The last so many epochs in which the sentence model learns."""
    backbone: float = 0.0
    """The learning rate of what looks at pictures (the backbone's last stage, or a system's own eyes) as a share of
    `rate`; 0: it does not learn."""
    side: int = 192
    """Side of live pictures in pixels. Cropped views show things larger than whole pictures do, so that a
    network learns best on smaller ones than it will be used on (Touvron et al. 2019)."""
    texts: int = 1
    """Texts drawn for each picture of a batch; the losses of all are averaged."""
    wrong: float = 0.0
    """Share of the texts that come with one that denies a word of them (contrasts.py)."""
    views: int = 2
    """Stored views of each picture of a captioned set; of one that mostly has labels, half as many."""
    own_captions: float = 0.7
    label_texts: float = 0.12
    """Shares of the texts drawn for a captioned picture; the rest are its paraphrases and second captions."""
    first: float = 1.0
    others: float = 1.0
    uncaptioned: float = 0.1
    """Shares of pictures seen in an epoch: captioned ones of the first dataset, captioned ones of the others,
    those that have only a label."""
    measured: int = 4
    """Epochs between two looks at the val split."""


@dataclass(frozen=True)
class MixedRecipe(Recipe):
    """The run over images of scenes and of things (mixed/tuning.py); `measured` counts steps."""

    steps: int = 1000
    scale: float = 32.0
    """One over the temperature that it begins with: that which fits the weights it begins with best. 45 instead pressed
    all cosines together and cost two points of recall."""
    thing_texts: float = 0.06
    """Share of an image's texts that name a thing which its captions name."""
    scenes: tuple[float, ...] = (0.6, 0.08, 0.1)
    """Shares of the captioned data sets in a batch, in order."""
    things: float = 0.22
    """Share of the chips with boxes."""
    names: float = 0.4
    ranks: float = 0.2
    picks: float = 0.1
    """Weights of the losses of names beside that of pairs (mixed/known_pairs.py)."""


@dataclass(frozen=True)
class Training:
    """What recipes.toml says of one system: settings of the network, its recipe, and for `compact` what comes
    before."""

    settings: Mapping[str, Any]
    recipe: Recipe
    tuning: Recipe | None = None
    """The run with live pictures that follows; only `compact` has one."""
    distillation: Mapping[str, int] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Name -> settings that differ, and under `recipe` parts of that: ablations and alternatives."""
    mixed: MixedRecipe | None = None
    """The run after tuning, where some of the data have boxes."""


@cache
def training(name: str) -> Training:
    """The table of one system. Raises ModelError when there is none."""
    table = tomllib.loads(resources.files(__package__).joinpath("recipes.toml").read_text("utf-8"))
    if name not in table:
        raise ModelError(f"{name!r} cannot be trained.", f"Choose one of: {', '.join(table)}.")
    found = table[name]
    return Training(
        settings=found.get("settings", {}),
        recipe=Recipe(**found.get("recipe", {})),
        tuning=Recipe(**found["tuning"]) if "tuning" in found else None,
        mixed=MixedRecipe(**found["mixed"]) if "mixed" in found else None,
        distillation=found.get("distillation", {}),
        variants=found.get("variants", {}),
    )


def rate(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate of a step, counted from 0."""
    warm = min(1.0, (step + 1) / (0.04 * steps + 1))
    return recipe.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))
