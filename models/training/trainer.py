"""The one loop that trains every system: AdamW, a warm-up and a cosine, a moving average of the weights that is
evaluated on the val split, the best kept, the state of the run saved after each epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.evaluation.retrieval import recalls_from_scores
from rs_text_search_plugin.models.inference.runtime import training_autocast, training_dtype
from rs_text_search_plugin.models.layers.minilm import TextTower
from rs_text_search_plugin.models.systems.base import Batch, Maps, System, TrainingSetInfo, share_of
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from . import run_state
from .datasets import Dataset
from .hard_negatives import HardNegatives
from .pairs import Item, TrainingPairs, draw_text, epoch_batches, ignore_mask
from .recipe import Recipe, lr_factor

WORKERS = 1 if sys.platform == "linux" else 0
"""Processes that read batches ahead; where processes are not forked they would get copies of all cached maps."""


@dataclass(frozen=True)
class TrainingRun:
    """Where a training run reads and writes."""

    datasets: tuple[Dataset, ...]
    folder: Path
    """Of the first dataset; pretrained networks lie beside it."""
    out: Path
    device: torch.device
    seed: int
    resume: bool

    def log(self, message: str) -> None:
        """A line of progress on stderr."""
        print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


class MapSource(Protocol):
    """Where the feature maps of images come from: feature_cache.CachedMaps or image_source.ImageSource."""

    def read(self, items: Sequence[Item], rng: np.random.Generator) -> Any:
        """What can be done ahead, in a worker process."""
        ...

    def maps(self, read: Any) -> Maps:
        """The rest, with a gradient where the image network is trained."""
        ...

    def unchanged(self, rows: Sequence[int]) -> Iterator[Maps]:
        """Maps of rows of the first dataset without augmentation, in batches."""
        ...


class BatchReader(torch.utils.data.Dataset[list[Any]]):
    """Reads one augmentation of every image of a batch, and a second one of the first `second_view` of them."""

    def __init__(self, source: MapSource, second_view: float) -> None:
        self.source, self.second_view = source, second_view

    def __getitem__(self, batch: tuple[tuple[int, ...], list[Item]]) -> list[Any]:  # type: ignore[override]
        """A batch is the seed of its random numbers, the same after a resume, and its images."""
        seed, items = batch
        rng = np.random.default_rng(seed)
        second = items[: share_of(len(items), self.second_view)] if self.second_view else []
        return [self.source.read(part, rng) for part in (items, second) if part]


class Trainer:
    """Trains one system by one recipe."""

    def __init__(
        self,
        name: str,
        run: TrainingRun,
        system: System,
        pairs: TrainingPairs,
        source: MapSource,
        recipe: Recipe,
    ) -> None:
        self.name, self.run, self.pairs, self.source, self.recipe = name, run, pairs, source, recipe
        system.prepare(TrainingSetInfo(len(pairs.items), pairs.texts, pairs.labels))
        self.system = system.to(run.device)
        self.reader = BatchReader(source, system.second_view)
        self.shared_names, self.hard_negatives = pairs.shared_names(), HardNegatives(pairs.texts)
        groups = parameter_groups(system, recipe)
        self.trained = _only_these_learn(system, groups)
        self.ema = AveragedModel(system, avg_fn=self._averaged)
        self.optimiser = torch.optim.AdamW(
            groups, lr=recipe.lr, weight_decay=recipe.weight_decay, betas=recipe.betas
        )
        self.steps = recipe.epochs * len(self._batches(0))
        self.scheduler = self._scheduler()
        self.order: list[tuple[tuple[int, ...], list[Item]]] = []
        self.loader = self._loader()
        self.best: dict[str, float] = {}

    @property
    def weights(self) -> Path:
        """The best of the run so far."""
        return self.run.out / f"{self.name}.safetensors"

    def fit(self) -> dict[str, float]:
        """Train to the end; `weights` holds the best epoch, whose figures on the first dataset's val split are
        returned."""
        for epoch in range(self._resumed(), self.recipe.epochs):
            began = time.monotonic()
            losses = ", ".join(f"{name} {value:.3f}" for name, value in self._epoch(epoch).items())
            spent = time.monotonic() - began
            self.run.log(f"{self.name} epoch {epoch + 1} of {self.recipe.epochs}: {losses}, {spent:.0f} s")
            if (epoch + 1) % self.recipe.eval_every == 0 or epoch == self.recipe.epochs - 1:
                self._evaluate()
            self._save_state(epoch)
        return self.best

    def _averaged(self, average: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
        """The moving average; its decay grows over the first steps, so that random weights are forgotten."""
        decay = min(self.recipe.ema_decay, float((steps + 1) / (steps + 10)))
        return average.lerp(current, 1 - decay)

    def _scheduler(self, last_step: int = -1) -> LambdaLR:
        """The learning rate's schedule, to go on after `last_step`."""
        return LambdaLR(
            self.optimiser, lambda step: lr_factor(self.recipe, step, self.steps), last_epoch=last_step
        )

    def _loader(self) -> DataLoader[list[Any]]:
        """Reads the batches of `order`; its own generator leaves torch's to the losses, or a resume would differ."""
        return DataLoader(
            self.reader, batch_size=None, sampler=self.order, collate_fn=_as_read, num_workers=WORKERS,
            persistent_workers=WORKERS > 0, generator=torch.Generator(),
        )  # fmt: skip

    def _batches(self, epoch: int) -> list[list[Item]]:
        return epoch_batches(self.pairs, self.recipe, np.random.default_rng((self.run.seed, epoch)))

    def _epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch; the mean of each loss."""
        torch.manual_seed(self.run.seed * 1000 + epoch)
        rng = np.random.default_rng((self.run.seed, epoch, 1))
        batches = self._batches(epoch)
        self.order[:] = [((self.run.seed, epoch, number), items) for number, items in enumerate(batches)]
        self._text_tower_learns(epoch >= self.recipe.epochs - self.recipe.text_epochs)
        self.system.train()
        total: dict[str, float] = {}
        for items, read in zip(batches, self.loader, strict=True):
            for name, value in self._step(items, read, rng).items():
                total[name] = total.get(name, 0.0) + value / len(batches)
        return total

    def _step(self, items: list[Item], read: list[Any], rng: np.random.Generator) -> dict[str, float]:
        """One step of the optimiser; the losses."""
        with training_autocast(self.run.device):
            losses = self._losses(items, read, rng)
        self.optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(list(self.trained.values()), self.recipe.grad_clip)
        self.optimiser.step()
        self.scheduler.step()
        self.ema.update_parameters(self.system)
        return {name: float(value.item()) for name, value in losses.items()}

    def _losses(self, items: list[Item], read: list[Any], rng: np.random.Generator) -> dict[str, Tensor]:
        """The mean of each loss over the texts drawn for the images."""
        maps = [self._on_device(self.source.maps(one)) for one in read]
        total: dict[str, Tensor] = {}
        for _ in range(self.recipe.texts_per_image):
            for name, value in self.system.losses(self._batch(items, maps, rng)).items():
                mean = value / self.recipe.texts_per_image
                total[name] = total[name] + mean if name in total else mean
        return total

    def _on_device(self, maps: Maps) -> Maps:
        return Maps(*(part.to(self.run.device, training_dtype(self.run.device)) for part in maps))

    def _batch(self, items: list[Item], maps: list[Maps], rng: np.random.Generator) -> Batch:
        device, recipe = self.run.device, self.recipe
        drawn = [draw_text(item, recipe, rng) for item in items]
        texts = [self.pairs.texts[number] for number in drawn]
        negatives = [
            self.hard_negatives.negative(text, rng) if rng.random() < recipe.hard_negatives else ""
            for text in texts
        ]
        return Batch(
            maps=maps[0],
            second_view=maps[1] if len(maps) > 1 else None,
            texts=texts,
            images=torch.tensor([item.number for item in items], device=device),
            sentences=torch.tensor(drawn, device=device),
            labels=torch.tensor([item.label for item in items], device=device),
            ignore_mask=ignore_mask(items, drawn, self.pairs, self.shared_names).to(device),
            hard_negatives=negatives,
        )

    def _text_tower_learns(self, learns: bool) -> None:
        for group in self.optimiser.param_groups:
            if group["name"] == "text":
                for parameter in group["params"]:
                    parameter.requires_grad_(learns)

    def _evaluate(self) -> None:
        """Figures of the averaged weights on the first dataset's val split; saved when they are the best."""
        rows = [n for n, row in enumerate(self.run.datasets[0].rows) if row.split == "val" and row.captions]
        current = {name: value.clone() for name, value in self._weights().items()}
        self._set_weights(self._averages())
        self.system.eval()
        figures = self._recalls(rows) if rows else {"mr": 0.0}
        self.run.log(" ".join(f"{name} {value:.2f}" for name, value in figures.items()))
        if not self.best or figures["mr"] >= self.best["mr"]:
            self.best = figures
            checkpoint.save(self.system, self.name, self.weights)
        self._set_weights(current)

    def _weights(self) -> dict[str, Tensor]:
        return {name: parameter.detach() for name, parameter in self.trained.items()}

    def _averages(self) -> dict[str, Tensor]:
        averages = dict(self.ema.module.named_parameters())
        return {name: averages[name].detach() for name in self.trained}

    @torch.no_grad()
    def _set_weights(self, state: dict[str, Tensor]) -> None:
        for name, parameter in self.trained.items():
            parameter.copy_(state[name])

    @torch.inference_mode()
    def _recalls(self, rows: list[int]) -> dict[str, float]:
        captions = [self.run.datasets[0].rows[n].captions for n in rows]
        owners = np.repeat(np.arange(len(rows)), [len(some) for some in captions])
        flat = [text for some in captions for text in some]
        distinct = sorted(set(flat), key=lambda text: (len(text), text))
        column_of = {text: number for number, text in enumerate(distinct)}
        with training_autocast(self.run.device):
            maps = map(self._on_device, self.source.unchanged(rows))
            similarity = self.system.similarity_matrix(maps, distinct).float().cpu().numpy()
        by_image = similarity[:, [column_of[text] for text in flat]]  # (images, captions)
        return recalls_from_scores(by_image, by_image.T, owners)

    def _save_state(self, epoch: int) -> None:
        """A checkpoint from which the next epoch goes on exactly."""
        optimiser: dict[int, dict[str, Tensor]] = self.optimiser.state_dict()["state"]
        step = self.scheduler.last_epoch
        state = run_state.RunState(epoch, step, self.best, self._weights(), self._averages(), optimiser)
        run_state.save(self._state_file, state)

    def _resumed(self) -> int:
        """Read the last checkpoint, if there is one; the epoch to begin with."""
        if not self.run.resume or not self._state_file.exists():
            return 0
        state = run_state.load(self._state_file, self.run.device)
        self._set_weights(state.ema)
        self.ema.update_parameters(self.system)  # the first update copies
        self._set_weights(state.weights)
        self.ema.n_averaged.fill_(state.step)
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state.optimiser})
        self.scheduler = self._scheduler(state.step - 1)
        self.best = state.best
        return state.epoch + 1

    @property
    def _state_file(self) -> Path:
        return self.run.out / f"{self.name}.run"


def parameter_groups(system: System, recipe: Recipe) -> list[dict[str, Any]]:
    """The trained parameters in groups with their learning rates: the system's own parts, the layers of its text
    tower, its image network. Word embeddings, the rest of the backbone and the system's frozen parts do not learn."""
    frozen = [getattr(system, name) for name in system.frozen]
    towers = [module for module in system.modules() if isinstance(module, TextTower) and module not in frozen]
    text, image = [p for tower in towers for p in tower.layers.parameters()], system.image_parameters()
    shared = {id(p) for part in (*towers, *frozen, system.backbone) for p in part.parameters()}
    own = [p for p in system.parameters() if id(p) not in shared | set(map(id, image))]
    groups: list[dict[str, Any]] = [
        {"name": "own", "params": [p for p in own if p.dim() > 0]},
        {"name": "scalars", "params": [p for p in own if p.dim() == 0], "weight_decay": 0.0},
        {"name": "text", "params": text, "lr": recipe.lr * recipe.text_lr_factor},
        {
            "name": "image",
            "params": image if recipe.image_lr_factor else [],
            "lr": recipe.lr * recipe.image_lr_factor,
        },
    ]
    return [group for group in groups if group["params"]]


def _only_these_learn(system: System, groups: list[dict[str, Any]]) -> dict[str, nn.Parameter]:
    """The parameters of the groups by name; all others get no gradient."""
    trained = {id(parameter) for group in groups for parameter in group["params"]}
    for parameter in system.parameters():
        parameter.requires_grad_(id(parameter) in trained)
    return {name: p for name, p in system.named_parameters() if id(p) in trained}


def _as_read(read: Any) -> Any:
    """What a source read, as it is."""
    return read
