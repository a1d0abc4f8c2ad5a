"""The loop of stage 3: trains the heads of `compact`, and at the end the layers of its text tower, on stored
features."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as fn

from rs_text_search_plugin.engine.types import F32

from . import compact, contrastive
from .contrastive import Item, Lessons, Recipe
from .datasets import Dataset
from .evaluation import recalls
from .features import Features

TEXT_BATCH = 256
MEASURED_EVERY = 4
"""Epochs between two looks at the val split."""


@dataclass(frozen=True)
class Run:
    """Where a training run reads and writes."""

    datasets: tuple[Dataset, ...]
    out: Path
    device: torch.device
    seed: int
    resume: bool

    def log(self, message: str) -> None:
        """A line for the person who waits, on stderr."""
        print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


class Heads:
    """What changes from step to step of the contrastive training."""

    def __init__(
        self, run: Run, towers: compact.Compact, found: Lessons, seen: Sequence[Features], recipe: Recipe
    ) -> None:
        self.run, self.towers, self.found, self.seen, self.recipe = run, towers, found, seen, recipe
        self.alike = found.alike()
        self.scale = nn.Parameter(torch.tensor(1 / 0.07).log())
        parts = {"image": towers.image_head, "head": towers.text_head, "text": towers.text.layers}
        self.trained = nn.ModuleDict(parts).to(run.device)
        self.average = contrastive.Average(self.trained)
        self.optimiser = self._optimiser()
        self.sentences = self._sentences(found.texts)
        self.step = 0

    def fit(self) -> dict[str, float]:
        """Train to the end and leave the averaged weights in the towers; figures of the first dataset's val
        split."""
        start = self._resumed() if self.run.resume else 0
        for epoch in range(start, self.recipe.epochs):
            began = time.monotonic()
            loss = self._epoch(epoch)
            self._keep(epoch)
            self.run.log(f"epoch {epoch + 1}: loss {loss:.3f}, {time.monotonic() - began:.0f} s")
            if epoch % MEASURED_EVERY == MEASURED_EVERY - 1:
                self.run.log(f"val {self._measured()}")
        figures = self._measured()
        self.trained.load_state_dict(self.average.state)
        self.trained.eval()
        return figures

    def _epoch(self, epoch: int) -> float:
        torch.manual_seed(self.run.seed * 1000 + epoch)
        rng = np.random.default_rng((self.run.seed, epoch))
        batches = list(contrastive.epoch_batches(self.found, self.recipe, rng))
        joint = epoch >= self.recipe.epochs - self.recipe.joint_epochs
        self.trained.train()
        total = 0.0
        for batch in batches:
            rate = contrastive.rate(self.recipe, self.step, self.recipe.epochs * len(batches))
            for group in self.optimiser.param_groups:
                group["lr"] = rate * group["share"]
            total += self._step(batch, rng, joint)
        return total / len(batches)

    def _step(self, batch: list[tuple[Item, int]], rng: np.random.Generator, joint: bool) -> float:
        device = self.run.device
        tokens, detail = contrastive.gather(batch, self.seen, rng)
        with torch.autocast(device.type, torch.bfloat16):
            images = self.towers.image_head(tokens.to(device), detail.to(device))
            texts = self.towers.text_head(self._text_vectors([text for _, text in batch], joint))
        left_out = contrastive.unclear(batch, self.found, self.alike).to(device)
        images, texts = fn.normalize(images.float(), dim=1), fn.normalize(texts.float(), dim=1)
        loss = contrastive.loss(images, texts, self.scale.exp().clamp_max(100), left_out)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.average.update(self.trained, self.step)
        self.step += 1
        return float(loss.item())

    def _measured(self) -> dict[str, float]:
        """R@K and mR of the averaged weights on the first dataset's val split; empty when it has none."""
        rows = [n for n, row in enumerate(self.run.datasets[0].rows) if row.split == "val" and row.captions]
        if not rows:
            return {}
        now = {name: value.clone() for name, value in self.trained.state_dict().items()}
        self.trained.load_state_dict(self.average.state)
        self.trained.eval()
        with torch.inference_mode():
            figures = self._recalls(rows)
        self.trained.load_state_dict(now)
        return figures

    def _recalls(self, rows: list[int]) -> dict[str, float]:
        device, seen = self.run.device, self.seen[0]
        captions = [self.run.datasets[0].rows[n].captions for n in rows]
        owners = np.repeat(np.arange(len(rows)), [len(some) for some in captions])
        tokens, detail = (torch.from_numpy(array[0, rows]).float() for array in (seen.tokens, seen.detail))
        images = self.towers.image_head(tokens.to(device), detail.to(device))
        texts = self.towers.text_head(
            self._sentences([text for some in captions for text in some]).to(device)
        )
        return recalls(_unit(images), _unit(texts), owners)

    def _text_vectors(self, numbers: list[int], joint: bool) -> Tensor:
        """What goes into the text head: (B, 384), with a gradient into the tower when `joint`."""
        if not joint:
            return self.sentences[numbers].to(self.run.device)
        ids, mask = self.towers.tokenizer.batch([self.found.texts[number] for number in numbers])
        return self.towers.text(ids.to(self.run.device), mask.to(self.run.device))  # type: ignore[no-any-return]

    def _sentences(self, texts: Sequence[str]) -> Tensor:
        """What the text tower says now: (n, 384)."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found = torch.zeros(len(texts), 384)
        with torch.no_grad():
            for start in range(0, len(order), TEXT_BATCH):
                chosen = order[start : start + TEXT_BATCH]
                ids, mask = self.towers.tokenizer.batch([texts[i] for i in chosen])
                found[chosen] = self.towers.text(ids.to(self.run.device), mask.to(self.run.device)).cpu()
        return found

    def _optimiser(self) -> torch.optim.AdamW:
        self.towers.text.requires_grad_(False)
        self.towers.text.layers.requires_grad_(True)
        heads = [*self.towers.image_head.parameters(), *self.towers.text_head.parameters()]
        layers = list(self.towers.text.layers.parameters())
        groups = [
            {"params": heads, "weight_decay": self.recipe.decay, "share": 1.0},
            {"params": layers, "weight_decay": self.recipe.decay, "share": self.recipe.text_share},
            {"params": [self.scale], "weight_decay": 0.0, "share": 1.0},
        ]
        return torch.optim.AdamW(groups, lr=self.recipe.rate)

    def _keep(self, epoch: int) -> None:
        """A checkpoint from which the next epoch goes on as if nothing had happened."""
        tensors = {f"now.{name}": value for name, value in self.trained.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state.items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{number}|{name}": value for name, value in state.items()}
        tensors["scale"] = self.scale.data
        part = self.run.out / "heads.part"
        header = {"epoch": str(epoch), "step": str(self.step)}
        save_file({name: value.contiguous() for name, value in tensors.items()}, part, header)
        part.replace(self.run.out / "heads.safetensors")

    def _resumed(self) -> int:
        """Read the last checkpoint, if there is one; the epoch to begin with."""
        path = self.run.out / "heads.safetensors"
        if not path.exists():
            return 0
        with safe_open(path, "pt") as file:
            header = file.metadata()
        tensors = load_file(path, device=str(self.run.device))
        self.trained.load_state_dict(_part(tensors, "now."))
        self.average.state = _part(tensors, "average.")
        self.scale.data = tensors["scale"]
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(tensors, "adam.").items():
            number, kind = name.split("|")
            state.setdefault(int(number), {})[kind] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})
        self.step = int(header["step"])
        return int(header["epoch"]) + 1


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _unit(x: Tensor) -> F32:
    return fn.normalize(x.float(), dim=1).cpu().numpy()
