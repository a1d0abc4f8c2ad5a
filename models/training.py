"""One command trains `compact` from captioned pictures: features, short text tower, heads, export. Seeded,
resumable.

    rs-text-search train compact --out runs/a --data rsicd.jsonl:rsicd-0.tar,rsicd-1.tar ucm.jsonl:ucm.tar ...

`backbones/resnet50v2_stage1-3.safetensors` is looked for beside the first JSONL. Everything lands in --out:
features (2.5 GB for RSICD, UCM and RESISC45), the text tower, a checkpoint after each epoch,
`compact.safetensors` at the end. --resume goes on from what is there; without it the text tower and the heads
begin anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rs_text_search_plugin.engine.errors import ModelError

from . import choose_device, compact, contrastive, distillation, features
from .backbones import ResNet50V2, folded_resnet50v2
from .contrastive import Lessons, Recipe
from .datasets import Dataset, open_dataset
from .encoder import has_bf16
from .heads import Heads, Run
from .text import TextConfig, TextTower, WordPiece

BACKBONE = "backbones/resnet50v2_stage1-3.safetensors"
VIEWS = 2
"""Views of each picture of a captioned set; of one that mostly has labels, half as many."""


def train(  # noqa: PLR0913, PLR0917 - the command line's options
    model: str,
    data: list[str],
    out: str,
    device: str = "auto",
    seed: int = 0,
    resume: bool = False,
    recipe: Recipe | None = None,
) -> dict[str, Any]:
    """Train and export; the first dataset's val split gives the figures that are returned.

    `data` are `JSONL:IMAGES[,IMAGES]`, see datasets.py. Raises ModelError.
    """
    if model != "compact":
        raise ModelError(f"{model!r} cannot be trained.", "So far only `compact` can.")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(tuple(map(open_dataset, data)), folder, torch.device(choose_device(device).name), seed, resume)
    torch.manual_seed(seed)
    recipe = recipe or Recipe()
    backbone = open_backbone(Path(data[0].partition(":")[0]).parent / BACKBONE)
    seen = _features(run, backbone)
    found = contrastive.lessons(run.datasets)
    towers = _towers(backbone, *_text_tower(run, found, recipe))
    figures = Heads(run, towers.to(run.device), found, seen, recipe).fit()
    weights = folder / "compact.safetensors"
    compact.save(towers.cpu(), weights)
    return {"weights": str(weights), "bytes": weights.stat().st_size, "seed": seed, **figures}


def open_backbone(path: Path) -> ResNet50V2:
    """The ImageNet backbone from GluonCV's tensors. Raises ModelError when the file is not there."""
    if not path.is_file():
        raise ModelError(f"{path} does not exist.", "Put the ImageNet backbone beside the first JSONL.")
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


def _towers(backbone: ResNet50V2, tower: TextTower, vocabulary: list[str]) -> compact.Compact:
    towers = compact.Compact(compact.CompactConfig(len(vocabulary), len(tower.layers)), vocabulary)
    towers.backbone.load_state_dict(backbone.state_dict())
    towers.text.load_state_dict(tower.state_dict())
    return towers


def _text_tower(run: Run, found: Lessons, recipe: Recipe) -> tuple[TextTower, list[str]]:
    """The short text tower and its vocabulary, distilled now or found in the run's folder."""
    path = run.out / "text.safetensors"
    if run.resume and path.exists():
        return _read_tower(path)
    teacher = distillation.open_teacher()
    teacher.tower.to(run.device)
    texts = distillation.lesson(found.texts, teacher, recipe.made_up_texts, run.seed)
    tower, vocabulary = distillation.shortened(teacher, found.texts)
    run.log(f"text tower: {len(texts)} texts, {len(vocabulary)} pieces")
    target = teacher.vectors(texts)
    student = distillation.Student(tower.to(run.device), WordPiece(vocabulary))
    distillation.distil(student, texts, target, recipe.distil_epochs, run.seed, run.log)
    part = path.with_suffix(".part")
    save_file(tower.cpu().state_dict(), part, {"vocabulary": "\n".join(vocabulary)})
    part.replace(path)
    return tower, vocabulary


def _read_tower(path: Path) -> tuple[TextTower, list[str]]:
    with safe_open(path, "pt") as file:
        vocabulary = file.metadata()["vocabulary"].split("\n")
    tower = TextTower(TextConfig(len(vocabulary), len(distillation.KEPT_LAYERS)))
    tower.load_state_dict(load_file(path))
    return tower.eval(), vocabulary
