"""The one loop that trains every system: AdamW over a warm-up and a cosine, a moving average of the weights
that is measured on the val split, the best kept, a checkpoint after each epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.evaluation.retrieval import recalls_of
from rs_text_search_plugin.models.inference.runtime import floats, training_precision
from rs_text_search_plugin.models.layers.minilm import TextTower
from rs_text_search_plugin.models.systems.base import Batch, Facts, Maps, System, shared
from torch import Tensor, nn

from .datasets import Dataset
from .hard_negatives import Contrasts
from .pairs import Item, Lessons, draw, epoch_batches, unclear
from .recipe import Recipe, rate
from .run_state import Kept, keep, kept


@dataclass(frozen=True)
class Run:
    """Where a training run reads and writes."""

    datasets: tuple[Dataset, ...]
    beside: Path
    """Where the first dataset is, and pretrained networks with it."""
    out: Path
    device: torch.device
    seed: int
    resume: bool

    def log(self, message: str) -> None:
        """A line for the person who waits, on stderr."""
        print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


class Source(Protocol):
    """Where the maps of pictures come from: features.StoredMaps or live.Pictures."""

    def read(self, items: Sequence[Item], rng: np.random.Generator) -> Any:
        """What can be done ahead, in a thread."""
        ...

    def maps(self, read: Any) -> Maps:
        """The rest."""
        ...

    def whole(self, rows: Sequence[int]) -> Iterator[Maps]:
        """Unchanged pictures of the first dataset, some at a time."""
        ...


class Trainer:
    """Trains one system by one recipe."""

    def __init__(
        self, name: str, run: Run, system: System, found: Lessons, source: Source, recipe: Recipe
    ) -> None:
        self.name, self.run, self.system = name, run, system.to(run.device)
        self.found, self.source, self.recipe = found, source, recipe
        system.prepare(Facts(len(found.items), found.texts, found.labels))
        system.to(run.device)
        self.alike = found.alike()
        self.contrasts = Contrasts(found.texts)
        self.groups = parameters(system, recipe)
        trained = {id(p) for group in self.groups for p in group["params"]}
        self.trained = {n: p for n, p in system.named_parameters() if id(p) in trained}
        for parameter in system.parameters():
            parameter.requires_grad_(id(parameter) in trained)
        self.average = {n: p.detach().clone() for n, p in self.trained.items()}
        self.optimiser = torch.optim.AdamW(
            self.groups, lr=recipe.rate, weight_decay=recipe.decay, betas=recipe.betas
        )
        self.step = 0
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
            losses = self._epoch(epoch)
            spent = time.monotonic() - began
            told = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
            self.run.log(f"{self.name} epoch {epoch + 1} of {self.recipe.epochs}: {told}, {spent:.0f} s")
            if epoch % self.recipe.measured == self.recipe.measured - 1 or epoch == self.recipe.epochs - 1:
                self._measure()
            self._keep(epoch)
        return self.best

    def _epoch(self, epoch: int) -> dict[str, float]:
        torch.manual_seed(self.run.seed * 1000 + epoch)
        rng = np.random.default_rng((self.run.seed, epoch))
        batches = epoch_batches(self.found, self.recipe, rng)
        self._towers_learn(epoch >= self.recipe.epochs - self.recipe.text_epochs)
        self.system.train()
        total: dict[str, float] = {}
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, batches[0], (self.run.seed, epoch, 0))
            for number, items in enumerate(batches):
                read = ahead.result()
                following = min(number + 1, len(batches) - 1)
                ahead = reader.submit(self._read, batches[following], (self.run.seed, epoch, following))
                now = rate(self.recipe, self.step, self.recipe.epochs * len(batches))
                for group in self.optimiser.param_groups:
                    group["lr"] = now * group["share"]
                for name, value in self._step(items, read, rng).items():
                    total[name] = total.get(name, 0.0) + value / len(batches)
        return total

    def _read(self, items: Sequence[Item], seed: tuple[int, ...]) -> list[Any]:
        """One view of all, and another of the first of them where the system wants it."""
        rng = np.random.default_rng(seed)
        again = items[: shared(len(items), self.system.second)] if self.system.second else ()
        return [self.source.read(some, rng) for some in (items, again) if some]

    def _step(self, items: list[Item], read: list[Any], rng: np.random.Generator) -> dict[str, float]:
        device = self.run.device
        losses: dict[str, Tensor] = {}
        with training_precision(device):
            views = [self._placed(self.source.maps(one)) for one in read]
            for _ in range(self.recipe.texts):
                batch = self._batch(items, [draw(item, self.recipe, rng) for item in items], views, rng)
                for name, value in self.system.losses(batch).items():
                    losses[name] = (
                        losses.get(name, torch.zeros((), device=device)) + value / self.recipe.texts
                    )
        self.optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(list(self.trained.values()), self.recipe.clip)
        self.optimiser.step()
        share = 1 - min(self.recipe.keep, (self.step + 1) / (self.step + 10))
        for name, parameter in self.trained.items():
            self.average[name].lerp_(parameter.detach(), share)
        self.step += 1
        return {name: float(value.item()) for name, value in losses.items()}

    def _placed(self, maps: Maps) -> Maps:
        """On the run's device, in the floats that it learns in."""
        return Maps(*(part.to(self.run.device, floats(self.run.device)) for part in maps))

    def _batch(
        self, items: list[Item], drawn: list[int], views: list[Maps], rng: np.random.Generator
    ) -> Batch:
        device, texts = self.run.device, [self.found.texts[number] for number in drawn]
        wrong = [
            self.contrasts.wrong(text, rng) if rng.random() < self.recipe.wrong else "" for text in texts
        ]
        return Batch(
            maps=views[0],
            second=views[1] if len(views) > 1 else None,
            texts=texts,
            images=torch.tensor([item.number for item in items], device=device),
            sentences=torch.tensor(drawn, device=device),
            labels=torch.tensor([item.label for item in items], device=device),
            unclear=unclear(items, drawn, self.found, self.alike).to(device),
            wrong=wrong,
        )

    def _towers_learn(self, learn: bool) -> None:
        for group in self.optimiser.param_groups:
            if group["name"] == "text":
                for parameter in group["params"]:
                    parameter.requires_grad_(learn)

    def _measure(self) -> None:
        """Figures of the averaged weights on the first dataset's val split; saved when they are the best."""
        rows = [n for n, row in enumerate(self.run.datasets[0].rows) if row.split == "val" and row.captions]
        now = {name: parameter.detach().clone() for name, parameter in self.trained.items()}
        self._put(self.average)
        self.system.eval()
        figures = self._recalls(rows) if rows else {"mr": 0.0}
        self.run.log(" ".join(f"{name} {value:.2f}" for name, value in figures.items()))
        if not self.best or figures["mr"] >= self.best["mr"]:
            self.best = figures
            checkpoint.save(self.system, self.name, self.weights)
        self._put(now)

    def _put(self, state: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(state[name])

    @torch.inference_mode()
    def _recalls(self, rows: list[int]) -> dict[str, float]:
        captions = [self.run.datasets[0].rows[n].captions for n in rows]
        owners = np.repeat(np.arange(len(rows)), [len(some) for some in captions])
        flat = [text for some in captions for text in some]
        distinct = sorted(set(flat), key=lambda text: (len(text), text))
        place = {text: number for number, text in enumerate(distinct)}
        with training_precision(self.run.device):
            compared = self.system.compare(map(self._placed, self.source.whole(rows)), distinct)
        likeness = compared.float().cpu().numpy()
        by_image = likeness[:, [place[text] for text in flat]]  # (pictures, captions)
        return recalls_of(by_image, by_image.T, owners)

    def _keep(self, epoch: int) -> None:
        """A checkpoint from which the next epoch goes on as if nothing had happened."""
        now = {name: parameter.detach() for name, parameter in self.trained.items()}
        optimiser: dict[int, dict[str, Tensor]] = self.optimiser.state_dict()["state"]
        keep(self._checkpoint, Kept(epoch, self.step, self.best, now, self.average, optimiser))

    def _resumed(self) -> int:
        """Read the last checkpoint, if there is one; the epoch to begin with."""
        if not self.run.resume or not self._checkpoint.exists():
            return 0
        found = kept(self._checkpoint, self.run.device)
        self._put(found.now)
        self.average = found.average
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": found.optimiser})
        self.step, self.best = found.step, found.best
        return found.epoch + 1

    @property
    def _checkpoint(self) -> Path:
        return self.run.out / f"{self.name}.run"


def parameters(system: System, recipe: Recipe) -> list[dict[str, Any]]:
    """What learns, in groups with their share of the learning rate: the system's own parts, the layers of its
    sentence model, what it looks at pictures with. Word tables, the rest of the backbone and what the system wants
    still stay."""
    kept = [getattr(system, name) for name in system.still]
    towers = [module for module in system.modules() if isinstance(module, TextTower) and module not in kept]
    text, eyes = [p for tower in towers for p in tower.layers.parameters()], system.learning()
    still = {id(p) for part in (*towers, *kept, system.backbone) for p in part.parameters()} | set(
        map(id, eyes)
    )
    own = [p for p in system.parameters() if id(p) not in still]
    groups = [
        {"name": "own", "params": [p for p in own if p.dim() > 0], "share": 1.0},
        {"name": "scalars", "params": [p for p in own if p.dim() == 0], "share": 1.0, "weight_decay": 0.0},
        {"name": "text", "params": text, "share": recipe.text},
        {"name": "eyes", "params": eyes if recipe.backbone else [], "share": recipe.backbone},
    ]
    return [group for group in groups if group["params"]]
