"""One command trains a system from captioned pictures: seeded, resumable, the same for all of them.

    rs-text-search train compact --out runs/compact --data rsicd.jsonl:rsicd-0.tar,rsicd-1.tar ucm.jsonl ...
    rs-text-search train galr --out runs/galr --features runs/maps --data rsicd.jsonl ...

`compact` begins with ImageNet's backbone (`backbones/resnet50v2_stage1-3.safetensors` beside the first JSONL)
and MiniLM: distils a short text tower, trains its heads on stored maps, tunes the backbone's last stage on
live pictures, then goes on with images of scenes and of things mixed, where some of the data have boxes. Every other
system begins with the backbone, the vocabulary and the text tower of a trained `compact` and trains on stored maps;
`mtgfe` also has eyes of its own (`backbones/mobilenetv2_tf2.safetensors`), which learn from live pictures.
What differs between systems is in recipes.toml alone.

Everything lands in --out: maps (4 GB for RSICD, UCM and RESISC45), checkpoints, the best weights by val mR, and
result.json. --resume goes on from what is there."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.devices import choose_device
from rs_text_search_plugin.models.inference import activation_ranges as peaks
from rs_text_search_plugin.models.inference.runtime import sight
from rs_text_search_plugin.models.layers.minilm import TextConfig, TextTower, WordPiece
from rs_text_search_plugin.models.layers.mobilenetv2 import from_tf2
from rs_text_search_plugin.models.layers.resnet50v2 import ResNet50V2, folded_resnet50v2
from rs_text_search_plugin.models.layers.word_encoder import Words
from rs_text_search_plugin.models.registry import weights_of
from rs_text_search_plugin.models.systems.base import Maps, System
from rs_text_search_plugin.models.systems.compact import Compact
from rs_text_search_plugin.models.systems.mtgfe import Mtgfe
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rs_text_search_plugin.contracts.errors import ModelError

from . import distillation
from . import feature_cache as features
from .datasets import Dataset, open_dataset
from .image_source import Glances, TunedBackbone
from .mixed.stage import mixed_tuning, objects_of, scenes_of
from .mixed.tuning import MixedTuning
from .pairs import Lessons, lessons
from .recipe import Recipe, Training, training
from .trainer import Run, Source, Trainer

BACKBONE = "backbones/resnet50v2_stage1-3.safetensors"
EYES = "backbones/mobilenetv2_tf2.safetensors"
PARTS = ("tuning", "mixed")
"""Parts of `compact`'s recipe beside its first, as `--recipe PART.NAME=` names them."""


@dataclass(frozen=True)
class Options:
    """What the command line may change."""

    variant: str = ""
    """One of the system's variants in recipes.toml."""
    settings: Mapping[str, Any] | None = None
    """Single settings, above recipe and variant."""
    recipe: Mapping[str, Any] | None = None
    """Single parts of the recipe, of `compact`'s later stages under `tuning.NAME` and `mixed.NAME`; no epochs
    or steps of one leave it out."""
    base: str = ""
    """The trained `compact` (name or file) to begin with. The other systems take the committed one unless told;
    `compact` itself then goes on with its last stage, else it starts at the beginning."""
    features: str | None = None
    """Folder of stored maps, and of the distilled text tower, that several runs share; OUT/maps unless told."""


def train(  # noqa: PLR0913, PLR0917 - the command line's options
    model: str,
    data: list[str],
    out: str,
    device: str = "auto",
    seed: int = 0,
    resume: bool = False,
    options: Options | None = None,
) -> dict[str, Any]:
    """Train and export; the first dataset's val split selects the weights and gives the figures.

    `data` are `JSONL:IMAGES[,IMAGES]`, see datasets.py. Raises ModelError.
    """
    options = options or Options()
    plan = _plan(model, options)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(
        tuple(map(open_dataset, data)), Path(data[0].partition(":")[0]).parent, folder,
        torch.device(choose_device(device).name), seed, resume,
    )  # fmt: skip
    torch.manual_seed(seed)
    began = time.monotonic()
    found = lessons(scenes_of(run.datasets))
    maps = Path(options.features) if options.features else folder / "maps"
    maps.mkdir(parents=True, exist_ok=True)
    trainer: Trainer | MixedTuning
    if plan.tuning is None:
        trainer = _other(model, run, found, plan, maps, options)
    else:
        trainer = _compact(run, found, plan, maps, options.base)
    result = {
        "model": model, "variant": options.variant, "seed": seed, "data": [d.name for d in run.datasets],
        "settings": dict(trainer.system.settings), "recipe": asdict(trainer.recipe), "base": options.base,
        "parameters": sum(p.numel() for n, p in trainer.system.named_parameters() if not n.startswith("lesson.")),
        "weights": str(trainer.weights), "bytes": trainer.weights.stat().st_size,
        "seconds": round(time.monotonic() - began), **trainer.best,
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return result


def open_backbone(path: Path) -> ResNet50V2:
    """The ImageNet backbone from GluonCV's tensors. Raises ModelError when the file is not there."""
    backbone = ResNet50V2()
    backbone.load_state_dict(folded_resnet50v2(_pretrained(path)))
    return backbone.eval()


def _pretrained(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise ModelError(f"{path} does not exist.", "Put the ImageNet backbone beside the first JSONL.")
    return dict(load_file(path))


def _plan(model: str, options: Options) -> Training:
    plan = training(model)
    if options.variant and options.variant not in plan.variants:
        known = ", ".join(plan.variants) or "none"
        raise ModelError(f"{model} has no variant {options.variant!r}.", f"It has: {known}.")
    variant = dict(plan.variants.get(options.variant, {}))
    changes = {**variant.pop("recipe", {}), **(options.recipe or {})}
    later = {part: _taken(changes, f"{part}.") for part in PARTS}
    if any(later.values()) and plan.tuning is None:
        raise ModelError(f"{model} has no tuning.", "Leave tuning. and mixed. away: its recipe is one run.")
    if changes and plan.tuning and options.base:
        raise ModelError(
            "With a base there is only tuning left.",
            "Write tuning.NAME or mixed.NAME for parts of its recipe.",
        )
    try:
        return replace(
            plan,
            settings={**plan.settings, **variant, **(options.settings or {})},
            recipe=replace(plan.recipe, **changes),
            tuning=plan.tuning and replace(plan.tuning, **later["tuning"]),
            mixed=plan.mixed and replace(plan.mixed, **later["mixed"]),
        )
    except TypeError as error:
        raise ModelError(f"No such part of a recipe: {error}", "See models/training/recipe.py.") from error


def _taken(changes: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Those whose name begins so, without it; they are removed from `changes`."""
    return {name.removeprefix(prefix): changes.pop(name) for name in list(changes) if name.startswith(prefix)}


def _heads(run: Run, found: Lessons, plan: Training, maps: Path) -> Trainer:
    """Text tower, then heads on stored maps of the backbone as it is."""
    backbone = open_backbone(run.beside / BACKBONE)
    peaks.learn(backbone, run.datasets[0], run.seed)  # so that its maps are made in the fastest way
    tower, vocabulary = _text_tower(run, found, plan.distillation, maps)
    system = Compact(vocabulary, plan.settings)
    system.backbone.load_state_dict(backbone.state_dict())
    system.text.load_state_dict(tower.state_dict())
    heads = replace(run, out=run.out / "heads")
    heads.out.mkdir(exist_ok=True)
    trainer = Trainer("compact", heads, system, found, _stored(run, backbone, plan.recipe, maps), plan.recipe)
    trainer.fit()
    return trainer


def _compact(run: Run, found: Lessons, plan: Training, maps: Path, base: str) -> Trainer | MixedTuning:
    """All stages of `compact`, or with a base the last one that the data allow."""
    scenes, objects = replace(run, datasets=scenes_of(run.datasets)), objects_of(run.datasets)
    mixed = plan.mixed if objects and plan.mixed and plan.mixed.steps else None
    assert plan.tuning is not None  # nosec B101 - that is how `compact` is told from the rest
    on_cpu = replace(scenes, device=torch.device("cpu"))  # mixed tuning was never run elsewhere
    if base and mixed:
        return mixed_tuning(on_cpu, objects, found, mixed, _begun(on_cpu, weights_of(base)))
    if base:
        return _tuned(scenes, found, plan.tuning, weights_of(base))
    trainer = _heads(scenes, found, plan, maps)
    if plan.tuning.epochs:
        trainer = _tuned(scenes, found, plan.tuning, trainer.weights)
    return mixed_tuning(on_cpu, objects, found, mixed, _begun(on_cpu, trainer.weights)) if mixed else trainer


def _begun(run: Run, weights: Path) -> Compact:
    """A trained `compact` to go on with. Its hub centres and activation ranges are not those of what it becomes."""
    system = cast(Compact, checkpoint.load(weights)).to(run.device)
    system.hubs = None
    system.backbone.peaks.zero_()
    return system.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _tuned(run: Run, found: Lessons, tuning: Recipe, heads: Path) -> Trainer:
    """The backbone's last stage with everything above it."""
    system = _begun(run, heads)
    pictures = TunedBackbone(run.datasets, system.backbone, tuning.side)
    trainer = Trainer("compact", run, system, found, pictures, tuning)
    trainer.fit()
    return trainer


def _other(model: str, run: Run, found: Lessons, plan: Training, maps: Path, options: Options) -> Trainer:
    base = checkpoint.load(weights_of(options.base or "compact"))
    settings = dict(plan.settings)
    if "labels" in settings:
        settings["labels"] = len(found.labels)
    system = checkpoint.build(model, base.tokenizer.vocabulary, settings)
    system.backbone.load_state_dict(base.backbone.state_dict())
    start(system, cast(Compact, base))
    source: Source
    if isinstance(system, Mtgfe):
        system.eyes.load_state_dict(from_tf2(_pretrained(run.beside / EYES)))
        source = Glances(run.datasets, system, plan.recipe.side)
    else:
        source = _stored(run, base.backbone.eval(), plan.recipe, maps)
    trainer = Trainer(model, run, system, found, source, plan.recipe)
    trainer.fit()
    return trainer


def start(system: System, base: Compact) -> None:
    """Begin with a trained `compact`: with its towers where the system has them too, with its word vectors and
    as many of its text tower's layers as there are."""
    state = base.text.state_dict()
    for module in system.modules():
        if isinstance(module, Words):
            own = module.tower.state_dict()
            module.tower.load_state_dict({name: state[name] for name in own})
    if isinstance(system, Compact):
        system.hubs = base.hubs
        system.load_state_dict(base.state_dict(), strict=False)


def _stored(run: Run, backbone: ResNet50V2, recipe: Recipe, folder: Path) -> features.StoredMaps:
    quick = sight(copy.deepcopy(backbone), run.device)

    def look(tiles: torch.Tensor) -> Maps:
        return quick(tiles.to(run.device))

    return features.StoredMaps(
        [features.compute(look, data, _views(data, recipe), folder, run.log) for data in run.datasets]
    )


def _views(data: Dataset, recipe: Recipe) -> int:
    captioned = sum(bool(row.captions) for row in data.rows)
    return recipe.views if captioned > len(data.rows) / 2 else max(1, recipe.views // 2)


def _text_tower(
    run: Run, found: Lessons, lesson: Mapping[str, int], folder: Path
) -> tuple[TextTower, list[str]]:
    """The short text tower and its vocabulary, distilled now or found in the folder."""
    path = folder / "text.safetensors"
    if run.resume and path.exists():
        return _read_tower(path)
    teacher = distillation.open_teacher()
    teacher.tower.to(run.device)
    texts = distillation.lesson(found.texts, teacher, lesson["made_up_texts"], run.seed)
    tower, vocabulary = distillation.shortened(teacher, found.texts)
    run.log(f"text tower: {len(texts)} texts, {len(vocabulary)} pieces")
    target = teacher.vectors(texts)
    student = distillation.Student(tower.to(run.device), WordPiece(vocabulary))
    distillation.distil(student, texts, target, lesson["epochs"], run.seed, run.log)
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
