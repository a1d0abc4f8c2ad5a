"""The last stage of `compact`'s training: images of scenes and of things, mixed, at every scale.

The loss needs all vectors of a batch at once. So parts of the batch go forward side by side, the loss is taken of their
vectors, and its gradient at each part's vectors goes back through the part."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.inference.runtime import training_autocast
from rs_text_search_plugin.models.layers.losses import MASKED_LOGIT
from rs_text_search_plugin.models.systems.base import TrainingSetInfo, pool_grid
from rs_text_search_plugin.models.systems.compact import Compact
from rs_text_search_plugin.models.training.hard_negatives import HardNegatives
from rs_text_search_plugin.models.training.image_source import frozen_stem
from rs_text_search_plugin.models.training.recipe import MixedRecipe, lr_factor
from rs_text_search_plugin.models.training.run_state import RunState, load, save
from rs_text_search_plugin.models.training.trainer import TrainingRun, parameter_groups
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from .batches import MixedBatches
from .captions import one_of
from .examples import Example, Text
from .known_pairs import image_facts, name_losses, negatives, pair_loss, text_facts
from .side_by_side import SideBySide

IMAGES_A_PART, TEXTS_A_PART = 16, 64
START_SHARPNESS, START_THRESHOLD = 20.0, 0.35
"""Of the logistic loss of names: slope, and the cosine of an even chance."""
LOGGED = 10
"""Steps between two lines of the log."""
CPU = torch.device("cpu")
Measure = Callable[[Compact], dict[str, float]]
"""Figures of a system; `mr` decides which weights are the best."""


@dataclass(frozen=True)
class Queries:
    """All texts of a step."""

    texts: list[Text]
    owner: Tensor
    """(texts,) the row of each one's image."""
    hard_negatives: dict[int, str]
    """Number of a text -> its hard negative."""
    names: list[str]
    things: Tensor
    """(names,) the thing that each names."""

    def every(self) -> list[str]:
        """Texts, wrong ones, names."""
        return [*(text.text for text in self.texts), *self.hard_negatives.values(), *self.names]

    def counts(self) -> list[int]:
        """How many of each."""
        return [len(self.texts), len(self.hard_negatives), len(self.names)]


@dataclass(frozen=True)
class Vectors:
    """Leaves of the loss: unit vectors of the images and of each distinct text."""

    images: Tensor
    distinct: Tensor
    rows: Tensor
    """(queries,) where each query's text is among the distinct ones."""

    def of_queries(self) -> Tensor:
        """(queries, dim)"""
        return self.distinct[self.rows]

    def gradients(self) -> list[Tensor]:
        """Of each part."""
        leaves = ((self.images, IMAGES_A_PART), (self.distinct, TEXTS_A_PART))
        return [part for leaf, size in leaves for part in torch.split(cast(Tensor, leaf.grad), size)]


class MixedTuning:
    """One run, on a CPU."""

    def __init__(
        self, run: TrainingRun, system: Compact, batches: MixedBatches, recipe: MixedRecipe, measure: Measure
    ) -> None:
        self.run, self.system, self.batches, self.recipe, self.measure = run, system, batches, recipe, measure
        found = batches.scenes.found
        self._train_only(TrainingSetInfo(len(found.items), found.texts, found.labels))
        self.table, self.hard_negatives, self.frozen_stem = (
            batches.scenes.table,
            HardNegatives(found.texts),
            frozen_stem(system.backbone),
        )
        self.groups, self.trained = self._learning()
        self.average = {name: p.detach().clone() for name, p in self.trained.items()}
        self.optimiser = torch.optim.AdamW(
            self.groups, lr=recipe.lr, weight_decay=recipe.weight_decay, betas=recipe.betas
        )
        self.scheduler = self._scheduler()
        self.step, self.best = 0, {}  # type: tuple[int, dict[str, float]]

    @property
    def weights(self) -> Path:
        """The best of the run so far."""
        return self.run.out / "compact.safetensors"

    def fit(self) -> dict[str, float]:
        """Train to the end; the figures of the best weights."""
        self._resume()
        self.parts = SideBySide()
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, self.step)
            while self.step < self.recipe.steps:
                examples, opened = ahead.result()
                ahead = reader.submit(self._read, self.step + 1)
                began = time.monotonic()
                losses = self._step(examples, opened)
                self._log(losses, time.monotonic() - began)
                if self.step % self.recipe.eval_every == 0 or self.step == self.recipe.steps:
                    self._measure()
                    self._keep()
        self.parts.close()
        return self.best

    def _scheduler(self, last_step: int = -1) -> LambdaLR:
        """The learning rate's schedule, to go on after `last_step`."""
        return LambdaLR(
            self.optimiser, lambda step: lr_factor(self.recipe, step, self.recipe.steps), last_epoch=last_step
        )

    def _train_only(self, facts: TrainingSetInfo) -> None:
        """Temperature of the pair loss; slope and threshold of the names."""
        self.system.prepare(facts)
        with torch.no_grad():
            self.system.train_heads["scale"].fill_(math.log(self.recipe.scale))
        self.system.train_heads["sharpness"] = nn.Parameter(torch.tensor(START_SHARPNESS).log())
        self.system.train_heads["threshold"] = nn.Parameter(torch.tensor(START_THRESHOLD))

    def _learning(self) -> tuple[list[dict[str, Any]], dict[str, nn.Parameter]]:
        """All that a tuning trains but stage 3's first norm, so that no gradient is needed for its input."""
        groups = parameter_groups(self.system, self.recipe)
        first: Any = self.system.backbone.stages[2]
        still = {id(p) for p in first[0].open.parameters()}
        for group in groups:
            group["params"] = [p for p in group["params"] if id(p) not in still]
        chosen = {id(p) for group in groups for p in group["params"]}
        for p in self.system.parameters():
            p.requires_grad_(id(p) in chosen)
        return groups, {name: p for name, p in self.system.named_parameters() if id(p) in chosen}

    def _read(self, step: int) -> tuple[list[Example], Tensor]:
        """The batch of a step, and what stage 3 begins with (B, 512, S/8, S/8): all that does not learn."""
        examples = self.batches.batch(self.recipe.batch_size, np.random.default_rng((self.run.seed, step)))
        first: Any = self.system.backbone.stages[2]
        with torch.no_grad(), training_autocast(CPU):
            return examples, first[0].open(
                self.frozen_stem(np.stack([example.image for example in examples]))
            )

    def _step(self, examples: list[Example], opened: Tensor) -> dict[str, float]:
        self.system.train()
        queries = self._queries(examples)
        vectors, outputs = self._forward(opened, queries)
        losses = self._losses(examples, queries, vectors)
        self.optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        self.parts.backward(outputs, vectors.gradients())
        self._update()
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _queries(self, examples: list[Example]) -> Queries:
        """The texts of a batch, texts that deny some of them, and names of all things."""
        rng = np.random.default_rng((self.run.seed, self.step, 1))
        texts = [text for example in examples for text in example.texts]
        owner = torch.tensor([row for row, example in enumerate(examples) for _ in example.texts])
        wrong = {number: self._wrong(text, rng) for number, text in enumerate(texts)}
        names, named = self._names(rng)
        return Queries(texts, owner, {number: text for number, text in wrong.items() if text}, names, named)

    def _wrong(self, text: Text, rng: np.random.Generator) -> str:
        """A caption with one thing denied, for some captions."""
        caption = not text.of_things and text.scene < 0
        return (
            self.hard_negatives.negative(text.text, rng)
            if caption and rng.random() < self.recipe.hard_negatives
            else ""
        )

    def _names(self, rng: np.random.Generator) -> tuple[list[str], Tensor]:
        """Four names of each thing, the plain ones among them, and the thing that each names.

        Names of scenes are left to the pairs: learnt here too, they pulled all images of a scene together, which cost
        two points of recall."""
        pools = [(thing.one, thing.many, thing.one[:1], thing.many[:1]) for thing in self.table.all]
        names = [one_of(pool, rng) for four in pools for pool in four]
        return names, torch.arange(len(pools)).repeat_interleave(4)

    def _forward(self, opened: Tensor, queries: Queries) -> tuple[Vectors, list[Tensor]]:
        """Images and each distinct text, in parts side by side."""
        every = queries.every()
        distinct = sorted(set(every), key=len)
        place = {text: number for number, text in enumerate(distinct)}
        images = [partial(self._images, some) for some in torch.split(opened, IMAGES_A_PART)]
        starts = range(0, len(distinct), TEXTS_A_PART)
        texts = [partial(self._texts, distinct[start : start + TEXTS_A_PART]) for start in starts]
        outputs = self.parts.forward([*images, *texts])
        count, rows = len(images), torch.tensor([place[text] for text in every])
        return Vectors(_leaf(outputs[:count]), _leaf(outputs[count:]), rows), outputs

    def _images(self, opened: Tensor) -> Tensor:
        with training_autocast(CPU):
            return self.system.embed_images(pool_grid(opened, self.system.backbone.last(opened)))

    def _texts(self, some: Sequence[str]) -> Tensor:
        with training_autocast(CPU):
            return self.system.embed_texts(some)

    def _losses(self, examples: list[Example], queries: Queries, vectors: Vectors) -> dict[str, Tensor]:
        """Pairs, and names of things."""
        train_heads, images = self.system.train_heads, vectors.images
        scale = train_heads["scale"].exp().clamp_max(100)
        texts, wrong, names = torch.split(vectors.of_queries(), queries.counts())
        denied = torch.tensor(list(queries.hard_negatives), dtype=torch.long)
        against = images.new_full((len(texts),), MASKED_LOGIT)
        against = against.index_copy(0, denied, scale * (images[queries.owner[denied]] * wrong).sum(1))
        facts = image_facts(examples)
        negative = negatives(facts, text_facts(queries.texts, len(self.table.all)))
        known = facts.things[:, queries.things]
        told = name_losses(
            images @ names.T, known, train_heads["sharpness"].exp(), train_heads["threshold"], scale
        )
        return {
            "pairs": pair_loss(scale * images @ texts.T, negative, queries.owner, against),
            "names": self.recipe.names * told.present,
            "ranks": self.recipe.ranks * told.ranks,
            "picks": self.recipe.picks * told.picks,
        }

    def _update(self) -> None:
        nn.utils.clip_grad_norm_(list(self.trained.values()), self.recipe.grad_clip)
        self.optimiser.step()
        self.scheduler.step()
        share = 1 - min(self.recipe.ema_decay, (self.step + 1) / (self.step + 10))
        for name, parameter in self.trained.items():
            self.average[name].lerp_(parameter.detach(), share)
        self.step += 1

    def _log(self, losses: dict[str, float], seconds: float) -> None:
        if self.step % LOGGED == 0:
            told = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
            self.run.log(
                f"step {self.step} of {self.recipe.steps}: {told}, {self.recipe.batch_size / seconds:.0f} images/s"
            )

    def _measure(self) -> None:
        """Figures of the averaged weights; saved when they are the best."""
        now = {name: p.detach().clone() for name, p in self.trained.items()}
        self._put(self.average)
        with self.parts.paused():
            figures = self.measure(self.system.eval())
        self.run.log(" ".join(f"{name} {value:.2f}" for name, value in figures.items()))
        if not self.best or figures["mr"] >= self.best["mr"]:
            self.best = figures
            checkpoint.save(self.system, "compact", self.weights)
        self._put(now)

    def _put(self, state: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(state[name])

    def _keep(self) -> None:
        now = {name: p.detach() for name, p in self.trained.items()}
        optimiser: dict[int, dict[str, Tensor]] = self.optimiser.state_dict()["state"]
        save(self._checkpoint, RunState(0, self.step, self.best, now, self.average, optimiser))

    def _resume(self) -> None:
        if not self.run.resume or not self._checkpoint.exists():
            return
        found = load(self._checkpoint, CPU)
        self._put(found.weights)
        self.average, self.step, self.best = found.ema, found.step, found.best
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": found.optimiser})
        self.scheduler = self._scheduler(self.step - 1)

    @property
    def _checkpoint(self) -> Path:
        return self.run.out / "mixed.run"


def _leaf(outputs: Sequence[Tensor]) -> Tensor:
    """The vectors of several parts, cut off from their graphs."""
    return torch.cat([output.detach() for output in outputs]).requires_grad_()
