"""One command trains any system from captioned images: seeded, resumable, the same for all of them.

    rs-text-search train compact --out runs/compact --data rsicd.jsonl:rsicd-0.tar,rsicd-1.tar ucm.jsonl ...
    rs-text-search train galr --out runs/galr --features runs/maps --data rsicd.jsonl ...

`compact` starts from ImageNet's backbone (`backbones/resnet50v2_stage1-3.safetensors` beside the first JSONL)
and MiniLM: it distils a short text tower, trains its heads on cached maps, tunes the backbone's last stage on
images, then goes on with images of scenes and of things mixed, where some of the data have boxes. Every other
system starts from the backbone, the vocabulary and the text tower of a trained `compact` and trains on cached maps;
`mtgfe` also has a second image encoder (`backbones/mobilenetv2_tf2.safetensors`), which is trained on images. What
differs between systems is in recipes.toml alone.

Everything is written to --out: maps (4 GB for RSICD, UCM and RESISC45), run states, the best weights by val mR, and
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
from rs_text_search_plugin.models.inference.runtime import backbone_runner
from rs_text_search_plugin.models.layers.mobilenetv2 import from_tf2
from rs_text_search_plugin.models.layers.resnet50v2 import ResNet50V2, folded_resnet50v2
from rs_text_search_plugin.models.layers.word_encoder import WordEncoder
from rs_text_search_plugin.models.registry import weights_of
from rs_text_search_plugin.models.systems.base import Maps, System
from rs_text_search_plugin.models.systems.compact import Compact
from rs_text_search_plugin.models.systems.mtgfe import Mtgfe
from safetensors.torch import load_file

from rs_text_search_plugin.contracts.errors import ModelError

from . import distillation, feature_cache
from .calibrate_ranges import calibrate
from .datasets import Dataset, open_dataset
from .image_source import SecondEncoderSource, TunedBackboneSource
from .mixed.stage import mixed_tuning, objects_of, scenes_of
from .mixed.tuning import MixedTuning
from .pairs import TrainingPairs, training_pairs
from .recipe import MixedRecipe, Recipe, TrainingPlan, plan_of
from .trainer import MapSource, Trainer, TrainingRun

BACKBONE = "backbones/resnet50v2_stage1-3.safetensors"
IMAGE_ENCODER = "backbones/mobilenetv2_tf2.safetensors"
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
    """The trained `compact` (name or file) to start from. The other systems take the shipped one unless told;
    `compact` itself then only runs its last stage."""
    features: str | None = None
    """Folder of cached maps, and of the distilled text tower, that several runs share; OUT/maps unless told."""


@dataclass(frozen=True)
class Job:
    """One call of `train`."""

    run: TrainingRun
    pairs: TrainingPairs
    plan: TrainingPlan
    cache: Path
    """Folder of cached maps and of the distilled text tower."""
    base: str


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
    plan = plan_with(model, options)
    folder, began = Path(out), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    beside, place = Path(data[0].partition(":")[0]).parent, torch.device(choose_device(device).name)
    run = TrainingRun(tuple(map(open_dataset, data)), beside, folder, place, seed, resume)
    cache = Path(options.features) if options.features else folder / "maps"
    cache.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    trainer = _trained(model, Job(run, training_pairs(scenes_of(run.datasets)), plan, cache, options.base))
    about = {"model": model, "variant": options.variant, "base": options.base}
    result = {**about, **_result(trainer), "seconds": round(time.monotonic() - began), **trainer.best}
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return result


def open_backbone(path: Path) -> ResNet50V2:
    """The ImageNet backbone from GluonCV's tensors. Raises ModelError when the file is not there."""
    backbone = ResNet50V2()
    backbone.load_state_dict(folded_resnet50v2(_pretrained(path)))
    return backbone.eval()


def plan_with(model: str, options: Options) -> TrainingPlan:
    """A system's plan with what a variant and the command line change. Raises ModelError for what it lacks."""
    plan = plan_of(model)
    variant = _variant(model, plan, options.variant)
    changes = {**variant.pop("recipe", {}), **(options.recipe or {})}
    later = {part: _taken(changes, f"{part}.") for part in PARTS}
    if any(later.values()) and plan.tuning is None:
        raise ModelError(f"{model} has no tuning.", "Leave tuning. and mixed. away: its recipe is one run.")
    if changes and plan.tuning and options.base:
        hint = "Write tuning.NAME or mixed.NAME for parts of its recipe."
        raise ModelError("With a base there is only tuning left.", hint)
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


def copy_base_weights(system: System, base: Compact) -> None:
    """Start from a trained `compact`: its backbone, its word embeddings and as many layers of its text tower as the
    system has, and for a system that contains `compact`'s towers those too."""
    system.backbone.load_state_dict(base.backbone.state_dict())
    state = base.text.state_dict()
    for module in system.modules():
        if isinstance(module, WordEncoder):
            module.tower.load_state_dict({name: state[name] for name in module.tower.state_dict()})
    if isinstance(system, Compact):
        system.load_state_dict(base.state_dict(), strict=False)


def _variant(model: str, plan: TrainingPlan, name: str) -> dict[str, Any]:
    if name and name not in plan.variants:
        known = ", ".join(plan.variants) or "none"
        raise ModelError(f"{model} has no variant {name!r}.", f"It has: {known}.")
    return dict(plan.variants.get(name, {}))


def _trained(model: str, job: Job) -> Trainer | MixedTuning:
    """The last trainer of the plan, after its training."""
    if job.plan.tuning is None:
        return _train_other(model, job)
    objects, mixed = objects_of(job.run.datasets), job.plan.mixed
    job = replace(job, run=replace(job.run, datasets=scenes_of(job.run.datasets)))
    if objects and mixed and mixed.steps:
        return _mixed(job, objects, mixed)
    return _train_compact(job)


def _mixed(job: Job, objects: tuple[Dataset, ...], recipe: MixedRecipe) -> MixedTuning:
    weights = weights_of(job.base) if job.base else _train_compact(job).weights
    run = replace(job.run, device=torch.device("cpu"))  # mixed tuning was never run elsewhere
    return mixed_tuning(run, objects, job.pairs, recipe, _to_tune(run, weights))


def _train_compact(job: Job) -> Trainer:
    """Heads and tuning of `compact`, or with a base the tuning alone."""
    tuning = cast(Recipe, job.plan.tuning)
    if job.base:
        return _tune_backbone(job, tuning, weights_of(job.base))
    trainer = _train_heads(job)
    return _tune_backbone(job, tuning, trainer.weights) if tuning.epochs else trainer


def _train_heads(job: Job) -> Trainer:
    """Text tower, then `compact`'s heads on cached maps of ImageNet's backbone."""
    run, backbone = job.run, open_backbone(job.run.folder / BACKBONE)
    calibrate(
        backbone, run.datasets[0], run.seed
    )  # its maps are then computed in 8 bits where that is faster
    tower, vocabulary = distillation.text_tower(job.pairs.texts, job.plan.distillation, job.cache, run)
    system = Compact(vocabulary, job.plan.settings)
    system.backbone.load_state_dict(backbone.state_dict())
    system.text.load_state_dict(tower.state_dict())
    run = replace(run, out=run.out / "heads")
    run.out.mkdir(exist_ok=True)
    trainer = Trainer("compact", run, system, job.pairs, _cached_maps(job, backbone), job.plan.recipe)
    trainer.fit()
    return trainer


def _to_tune(run: TrainingRun, weights: Path) -> Compact:
    """A trained `compact` to go on with, without the activation ranges, which tuning changes."""
    system = cast(Compact, checkpoint.load(weights)).to(run.device)
    system.backbone.activation_ranges.zero_()
    return system.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _tune_backbone(job: Job, tuning: Recipe, weights: Path) -> Trainer:
    """The backbone's last stage with everything above it."""
    system = _to_tune(job.run, weights)
    source = TunedBackboneSource(job.run.datasets, system.backbone, tuning.image_size)
    trainer = Trainer("compact", job.run, system, job.pairs, source, tuning)
    trainer.fit()
    return trainer


def _train_other(model: str, job: Job) -> Trainer:
    """A system that starts from a trained `compact`."""
    base = cast(Compact, checkpoint.load(weights_of(job.base or "compact")))
    settings = dict(job.plan.settings)
    if "labels" in settings:
        settings["labels"] = len(job.pairs.labels)
    system = checkpoint.build(model, base.tokenizer.vocabulary, settings)
    copy_base_weights(system, base)
    trainer = Trainer(model, job.run, system, job.pairs, _source(system, base, job), job.plan.recipe)
    trainer.fit()
    return trainer


def _source(system: System, base: Compact, job: Job) -> MapSource:
    if not isinstance(system, Mtgfe):
        return _cached_maps(job, base.backbone.eval())
    system.image_encoder.load_state_dict(from_tf2(_pretrained(job.run.folder / IMAGE_ENCODER)))
    return SecondEncoderSource(job.run.datasets, system, job.plan.recipe.image_size)


def _cached_maps(job: Job, backbone: ResNet50V2) -> feature_cache.CachedMaps:
    runner = backbone_runner(copy.deepcopy(backbone), job.run.device)

    def extract(tiles: torch.Tensor) -> Maps:
        return runner(tiles.to(job.run.device))

    return feature_cache.CachedMaps([
        feature_cache.fill(extract, data, _augmentations(data, job.plan.recipe), job.cache, job.run.log)
        for data in job.run.datasets
    ])  # fmt: skip


def _augmentations(data: Dataset, recipe: Recipe) -> int:
    captioned = sum(bool(row.captions) for row in data.rows)
    return recipe.augmentations if captioned > len(data.rows) / 2 else max(1, recipe.augmentations // 2)


def _pretrained(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise ModelError(f"{path} does not exist.", "Put the ImageNet backbone beside the first JSONL.")
    return dict(load_file(path))


def _result(trainer: Trainer | MixedTuning) -> dict[str, Any]:
    """What result.json says of a run besides its figures."""
    run, system = trainer.run, trainer.system
    shipped = (p for name, p in system.named_parameters() if not name.startswith(checkpoint.TRAIN_ONLY))
    return {
        "seed": run.seed,
        "data": [data.name for data in run.datasets],
        "settings": dict(system.settings),
        "recipe": asdict(trainer.recipe),
        "parameters": sum(parameter.numel() for parameter in shipped),
        "weights": str(trainer.weights),
        "bytes": trainer.weights.stat().st_size,
    }
