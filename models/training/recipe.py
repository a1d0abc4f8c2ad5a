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
    """One training run: over cached feature maps, or over images when `image_lr_factor` is above 0."""

    epochs: int = 12
    batch_size: int = 256
    lr: float = 1e-3
    """Peak learning rate of AdamW."""
    warmup: float = 0.04
    """Share of the steps in which the learning rate rises linearly; then it follows half a cosine down to 1 %."""
    weight_decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.999)
    ema_decay: float = 0.99
    """Of the exponential moving average of the weights, which is what is evaluated and saved."""
    grad_clip: float = 5.0
    """Largest norm of a gradient."""
    text_lr_factor: float = 0.5
    """The text tower's learning rate as a share of `lr`."""
    text_epochs: int = 99
    """The last so many epochs train the text tower too."""
    image_lr_factor: float = 0.0
    """The learning rate of the image network (the backbone's last stage, or a system's second image encoder) as a
    share of `lr`; 0: it is frozen."""
    image_size: int = 192
    """Side of training images, px. Random crops show things larger than whole images do, so that a network trains
    best on smaller images than it is used on (Touvron et al. 2019)."""
    texts_per_image: int = 1
    """Texts drawn for each image of a batch; their losses are averaged."""
    hard_negatives: float = 0.0
    """Share of the texts that come with a hard negative (hard_negatives.py)."""
    augmentations: int = 2
    """Cached augmentations of each image of a captioned set; of a set that mostly has labels, half as many."""
    own_captions: float = 0.7
    label_texts: float = 0.12
    """Shares of the texts drawn for a captioned image; the rest are its paraphrases and second captions."""
    first_dataset: float = 1.0
    other_datasets: float = 1.0
    uncaptioned: float = 0.1
    """Shares of images used in an epoch: captioned ones of the first dataset, captioned ones of the others, and
    those that only have a label."""
    eval_every: int = 4
    """Epochs between two evaluations on the val split."""


@dataclass(frozen=True)
class MixedRecipe(Recipe):
    """The run over images of scenes and of things (mixed/tuning.py); `eval_every` counts steps."""

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
class TrainingPlan:
    """What recipes.toml says of one system."""

    settings: Mapping[str, Any]
    """Of the network."""
    recipe: Recipe
    tuning: Recipe | None = None
    """The run over images that follows; only `compact` has one."""
    distillation: Mapping[str, int] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Name -> settings that differ, and parts of the recipe under `recipe`: ablations and alternatives."""
    mixed: MixedRecipe | None = None
    """The run after tuning, where some of the data have boxes."""


@cache
def plan_of(name: str) -> TrainingPlan:
    """The table of one system. Raises ModelError when there is none."""
    table = tomllib.loads(resources.files(__package__).joinpath("recipes.toml").read_text("utf-8"))
    if name not in table:
        raise ModelError(f"{name!r} cannot be trained.", f"Choose one of: {', '.join(table)}.")
    found = table[name]
    return TrainingPlan(
        settings=found.get("settings", {}),
        recipe=Recipe(**found.get("recipe", {})),
        tuning=Recipe(**found["tuning"]) if "tuning" in found else None,
        mixed=MixedRecipe(**found["mixed"]) if "mixed" in found else None,
        distillation=found.get("distillation", {}),
        variants=found.get("variants", {}),
    )


def lr_factor(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate of a step, counted from 0, as a share of its peak: linear warm-up, then cosine."""
    warmup = min(1.0, (step + 1) / (recipe.warmup * steps + 1))
    return warmup * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))))
