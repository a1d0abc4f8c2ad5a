"""One command trains `compact` from captioned pictures: features, short text tower, both heads, export. Seeded and resumable.

    rs-text-search train compact --data rsicd.jsonl:rsicd-0.tar,rsicd-1.tar ucm.jsonl:ucm.tar resisc45.jsonl:resisc45.tar --out runs/a

`backbones/resnet50v2_stage1-3.safetensors` is looked for beside the first JSONL. Everything lands in --out: features (large), the
text tower, a checkpoint after each epoch, `compact.safetensors` at the end. --resume goes on from what is there and ends in the
same weights as an uninterrupted run on the same machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from rs_text_search_plugin.engine.errors import ModelError
from rs_text_search_plugin.engine.types import F32

from . import choose_device, compact, contrastive, distillation, features
from .backbones import ResNet50V2, folded_resnet50v2
from .contrastive import Lessons, Recipe
from .datasets import Dataset, open_dataset
from .encoder import has_bf16
from .evaluation import recalls
from .text import TextConfig, TextTower, WordPiece

BACKBONE = "resnet50v2_stage1-3.safetensors"
VIEWS = 8
MADE_UP_TEXTS = 12_000
DISTIL_EPOCHS = 3


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


def train(
    model: str, data: list[str], out: str, device: str = "auto", seed: int = 0, resume: bool = False,
    recipe: Recipe | None = None, teacher: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train and export; the first dataset's val split gives the figures that are returned.

    `data` are `JSONL:IMAGES[,IMAGES]`, see datasets.py. Raises ModelError.
    """
    if model != "compact":
        raise ModelError(f"{model!r} cannot be trained.", "So far only `compact` can.")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "compact.safetensors"
    run = Run(tuple(map(open_dataset, data)), folder, torch.device(choose_device(device).name), seed, resume)
    torch.manual_seed(seed)
    backbone = _backbone(Path(data[0].partition(":")[0]).parent / "backbones" / BACKBONE)
    seen = _features(run, backbone)
    found = contrastive.lessons(run.datasets)
    tower, vocabulary = _text_tower(run, found, teacher)
    towers = compact.Compact(compact.CompactConfig(len(vocabulary), len(tower.layers)), vocabulary)
    towers.backbone.load_state_dict(backbone.state_dict())
    towers.text.load_state_dict(tower.state_dict())
    figures = Heads(run, towers, found, seen, recipe or Recipe()).fit()
    compact.save(towers, weights)
    return {"weights": str(weights), "bytes": weights.stat().st_size, "seed": seed, **figures}


class Heads:
    """Stage 3: what changes from step to step of the contrastive training."""

    def __init__(
        self, run: Run, towers: compact.Compact, found: Lessons, seen: Sequence[features.Features], recipe: Recipe
    ) -> None:
        self.run, self.towers, self.found, self.seen, self.recipe = run, towers, found, seen, recipe
        self.alike = found.alike()
        self.scale = nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))
        self.trained = nn.ModuleDict({"image": towers.image_head, "head": towers.text_head, "text": towers.text.layers})
        self.trained.to(run.device)
        towers.text.to(run.device)
        self.average = contrastive.Average(self.trained)
        self.optimiser = self._optimiser()
        self.sentences = self._sentences(found.texts)
        self.val = _Val(run.datasets[0], self._sentences) if _has_val(run.datasets[0]) else None
        self.step = 0

    def fit(self) -> dict[str, float]:
        """Train to the end, leaving the averaged weights in the towers; figures of the val split."""
        start = self._resumed() if self.run.resume else 0
        for epoch in range(start, self.recipe.epochs):
            torch.manual_seed(self.run.seed * 1000 + epoch)
            rng = np.random.default_rng((self.run.seed, epoch))
            began, total = time.monotonic(), 0.0
            batches = list(contrastive.epoch_batches(self.found, self.recipe, rng))
            self.trained.train()
            for batch in batches:
                total += self._one(batch, rng, epoch, len(batches))
            self._keep(epoch)
            self.run.log(f"epoch {epoch + 1}: loss {total / len(batches):.3f}, {time.monotonic() - began:.0f} s")
            if self.val and epoch % 4 == 3:
                self.run.log(f"val mR {self.measured()['mr']:.2f}")
        figures = self.measured() if self.val else {}
        self.trained.load_state_dict(self.average.state)
        self.trained.eval()
        return figures

    def measured(self) -> dict[str, float]:
        """R@K and mR of the averaged weights on the val split."""
        now = {name: value.clone() for name, value in self.trained.state_dict().items()}
        self.trained.load_state_dict(self.average.state)
        self.trained.eval()
        with torch.inference_mode():
            figures = self.val.figures(self.towers, self.seen[0], self.run.device) if self.val else {}
        self.trained.load_state_dict(now)
        return figures

    def _one(self, batch: list[tuple[contrastive.Item, int]], rng: np.random.Generator, epoch: int, count: int) -> float:
        rate = contrastive.rate(self.recipe, self.step, self.recipe.epochs * count)
        for group, share in zip(self.optimiser.param_groups, (1.0, 0.2, 1.0), strict=True):
            group["lr"] = rate * share
        joint = epoch >= self.recipe.epochs - self.recipe.joint_epochs
        device = self.run.device
        tokens, detail = contrastive.gather(batch, self.seen, rng)
        with torch.autocast(device.type, torch.bfloat16):
            images = self.towers.image_head(tokens.to(device), detail.to(device))
            texts = self.towers.text_head(self._text_vectors([text for _, text in batch], joint))
        left_out = contrastive.unclear(batch, self.found, self.alike).to(device)
        images, texts = F.normalize(images.float(), dim=1), F.normalize(texts.float(), dim=1)
        loss = contrastive.loss(images, texts, self.scale.exp().clamp_max(100), left_out, self.recipe.smoothing)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.average.update(self.trained, self.step)
        self.step += 1
        return float(loss.item())

    def _text_vectors(self, numbers: list[int], joint: bool) -> Tensor:
        if not joint:
            return self.sentences[numbers].to(self.run.device)
        ids, mask = self.towers.tokenizer.batch([self.found.texts[number] for number in numbers])
        return self.towers.text(ids.to(self.run.device), mask.to(self.run.device))  # type: ignore[no-any-return]

    def _sentences(self, texts: Sequence[str]) -> Tensor:
        """What the text tower says now, before its head: (n, 384)."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found = torch.zeros(len(texts), 384)
        with torch.inference_mode():
            for start in range(0, len(order), 256):
                chosen = order[start : start + 256]
                ids, mask = self.towers.tokenizer.batch([texts[i] for i in chosen])
                found[chosen] = self.towers.text(ids.to(self.run.device), mask.to(self.run.device)).float().cpu()
        return found.clone()

    def _optimiser(self) -> torch.optim.AdamW:
        self.towers.text.requires_grad_(False)
        self.towers.text.layers.requires_grad_(True)
        heads = [*self.towers.image_head.parameters(), *self.towers.text_head.parameters()]
        groups = [
            {"params": heads, "weight_decay": self.recipe.decay},
            {"params": list(self.towers.text.layers.parameters()), "weight_decay": self.recipe.decay},
            {"params": [self.scale], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.recipe.rate)

    def _keep(self, epoch: int) -> None:
        """A checkpoint from which the next epoch goes on as if nothing had happened."""
        tensors = {f"now.{name}": value for name, value in self.trained.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state.items()}
        tensors["scale"] = self.scale.data
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{name}": value for name, value in state.items()}
        part = self.run.out / "heads.part"
        save_file({name: value.contiguous() for name, value in tensors.items()}, part, {"epoch": str(epoch), "step": str(self.step)})
        part.replace(self.run.out / "heads.safetensors")

    def _resumed(self) -> int:
        """Read the last checkpoint, if there is one; the epoch to begin with."""
        path = self.run.out / "heads.safetensors"
        if not path.exists():
            return 0
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            header = file.metadata()
        tensors = load_file(path)
        part = {kind: {n.removeprefix(f"{kind}."): t for n, t in tensors.items() if n.startswith(f"{kind}.")} for kind in ("now", "average", "adam")}
        self.trained.load_state_dict(part["now"])
        self.average.state = {name: value.to(self.run.device) for name, value in part["average"].items()}
        self.scale.data = tensors["scale"]
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in part["adam"].items():
            number, kind = name.split(".")
            state.setdefault(int(number), {})[kind] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})
        self.step = int(header["step"])
        return int(header["epoch"]) + 1


class _Val:
    """Val rows of a dataset, measured on their unturned features."""

    def __init__(self, data: Dataset, sentences: Any) -> None:
        self.rows = [number for number, row in enumerate(data.rows) if row.split == "val" and row.captions]
        self.captions = [caption for number in self.rows for caption in data.rows[number].captions]
        self.owners = np.repeat(np.arange(len(self.rows)), [len(data.rows[n].captions) for n in self.rows])
        self.sentences = sentences

    def figures(self, towers: compact.Compact, seen: features.Features, device: torch.device) -> dict[str, float]:
        tokens, detail = (torch.from_numpy(a[0, self.rows]).float().to(device) for a in (seen.tokens, seen.detail))
        images = F.normalize(towers.image_head(tokens, detail), dim=1)
        texts = F.normalize(towers.text_head(self.sentences(self.captions).to(device)), dim=1)
        return recalls(_numpy(images), _numpy(texts), self.owners)


def _numpy(x: Tensor) -> F32:
    return x.float().cpu().numpy()


def _has_val(data: Dataset) -> bool:
    return any(row.split == "val" and row.captions for row in data.rows)


def _backbone(path: Path) -> ResNet50V2:
    if not path.is_file():
        raise ModelError(f"{path} does not exist.", "Put the ImageNet backbone beside the first JSONL, in backbones/.")
    backbone = ResNet50V2()
    backbone.load_state_dict(folded_resnet50v2(load_file(path)))
    return backbone.eval()


def _features(run: Run, backbone: ResNet50V2) -> list[features.Features]:
    quick = ResNet50V2().eval()
    quick.load_state_dict(backbone.state_dict())
    quick.to(run.device, torch.bfloat16 if has_bf16(run.device) else torch.float32)
    quick.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return [features.compute(quick, data, _views(data), run.out, run.log) for data in run.datasets]


def _views(data: Dataset) -> int:
    captioned = sum(bool(row.captions) for row in data.rows)
    return VIEWS if captioned > len(data.rows) / 2 else VIEWS // 2


def _text_tower(run: Run, found: Lessons, source: Path | None) -> tuple[TextTower, list[str]]:
    path = run.out / "text.safetensors"
    if run.resume and path.exists():
        return _read_tower(path)
    teacher = distillation.open_teacher(source)
    teacher.tower.to(run.device)
    texts = distillation.lesson(found.texts, teacher, MADE_UP_TEXTS, run.seed)
    tower, vocabulary = distillation.shortened(teacher, found.texts)
    run.log(f"text tower: {len(texts)} texts, {len(vocabulary)} pieces")
    target = teacher.vectors(texts)
    distillation.distil(tower.to(run.device), WordPiece(vocabulary), texts, target, DISTIL_EPOCHS, run.seed, run.log)
    save_file(tower.cpu().state_dict(), path, {"vocabulary": "\n".join(vocabulary)})
    return tower, vocabulary


def _read_tower(path: Path) -> tuple[TextTower, list[str]]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        vocabulary = file.metadata()["vocabulary"].split("\n")
    tower = TextTower(TextConfig(len(vocabulary), len(distillation.KEPT_LAYERS)))
    tower.load_state_dict(load_file(path))
    return tower.eval(), vocabulary
