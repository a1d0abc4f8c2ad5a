import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.evaluation import retrieval as evaluation
from rs_text_search_plugin.models.systems.base import INPUT_PX, Maps
from rs_text_search_plugin.models.training import distillation, feature_cache, pipeline, recipe, trainer
from rs_text_search_plugin.models.training.datasets import open_dataset
from rs_text_search_plugin.models.training.pipeline import Options
from rs_text_search_plugin.models.training.recipe import Recipe, TrainingPlan
from safetensors.torch import load_file, save_file

from rs_text_search_plugin.contracts.errors import ModelError
from tests.models.made import fitted_backbone, fitted_image_encoder, gluon_tensors, teacher, tf2_tensors

COLOURS = ["red", "green", "blue", "white"]
SHAPES = ["stripes", "checks", "plain"]
TOY = {
    "batch_size": 12,
    "augmentations": 1,
    "label_texts": 0.0,
    "own_captions": 1.0,
    "ema_decay": 0.9,
    "eval_every": 5,
}
HEADS = Recipe(**TOY, epochs=30, lr=3e-3, text_epochs=5)
TUNING = Recipe(**{**TOY, "ema_decay": 0.5}, epochs=2, lr=1e-5, image_lr_factor=0.5, texts_per_image=2)
DISTILLATION = {"synthetic_texts": 20, "epochs": 0}
OTHERS = {
    "galr": {"epochs": 60, "lr": 2e-3},
    "mtgfe": {"epochs": 120, "lr": 1e-3, "image_size": 96},
    "dove": {"epochs": 60, "lr": 2e-3},
    "mgrm_el": {"epochs": 60, "lr": 2e-3},
}


def picture(colour, shape):
    y, x = np.mgrid[0:64, 0:64] // 8
    on = {"stripes": x % 2, "checks": (x + y) % 2, "plain": np.ones_like(x)}[shape].astype(bool)
    tint = Image.new("RGB", (1, 1), colour).getpixel((0, 0))
    return Image.fromarray(np.where(on[..., None], np.array(tint), 40).astype(np.uint8))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twelve images with a caption each, for train and val alike, and a backbone beside them."""
    folder = tmp_path_factory.mktemp("data")
    rows = []
    with tarfile.open(folder / "toy.tar", "w") as tar:
        for colour in COLOURS:
            for shape in SHAPES:
                file = io.BytesIO()
                picture(colour, shape).save(file, "PNG")
                member = tarfile.TarInfo(f"{colour}_{shape}.png")
                member.size = file.tell()
                tar.addfile(member, io.BytesIO(file.getvalue()))
                rows += [
                    {
                        "image": f"{colour}_{shape}.png",
                        "split": split,
                        "label": shape,
                        "captions": [f"{colour} {shape}"],
                    }
                    for split in ("train", "val")
                ]
    (folder / "toy.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "backbones").mkdir()
    pictures = np.stack(
        [np.asarray(picture(c, s).resize((INPUT_PX, INPUT_PX))) for c in COLOURS for s in SHAPES]
    )
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
    save_file(fitted_backbone(gluon_tensors(), x), folder / pipeline.BACKBONE)
    save_file(fitted_image_encoder(tf2_tensors(), x), folder / pipeline.IMAGE_ENCODER)
    return f"{folder}/toy.jsonl:{folder}/toy.tar"


@pytest.fixture(scope="module", autouse=True)
def small():
    """A short recipe for `compact` and a teacher that knows six words."""
    with pytest.MonkeyPatch.context() as patch:
        plan = TrainingPlan({}, HEADS, TUNING, DISTILLATION)
        known = recipe.plan_of
        patch.setattr(pipeline, "plan_of", lambda name: plan if name == "compact" else known(name))
        patch.setattr(pipeline.distillation, "open_teacher", lambda: teacher([*COLOURS, *SHAPES]))
        yield


@pytest.fixture(scope="module")
def base(data, tmp_path_factory):
    """`compact`, trained on the dozen."""
    return pipeline.train("compact", [data], str(tmp_path_factory.mktemp("compact")), device="cpu")


@pytest.mark.slow
def test_a_dozen_pictures_are_learnt_by_heart(data, base, tmp_path):
    assert base["t2i_r1"] > 60
    assert Path(base["weights"]).stat().st_size == base["bytes"]
    assert json.loads(Path(base["weights"]).with_name("result.json").read_text())["mr"] == base["mr"]
    again = evaluation.evaluate(
        base["weights"], data, split="val", device="cpu", save_embeddings=f"{tmp_path}/e.npz"
    )
    assert again["mr"] > 90  # by chance 44
    saved = np.load(tmp_path / "e.npz")
    assert saved["images"].shape == saved["texts"].shape == (12, 384)
    assert saved["captions"][0] == "red stripes"
    assert saved["image_names"][0] == "red_stripes.png"
    owners = np.arange(12)
    assert evaluation.recalls(saved["images"], saved["texts"], owners)["mr"] == pytest.approx(again["mr"])
    classes = evaluation.evaluate(base["weights"], data, split="val", task="zeroshot", device="cpu")
    assert classes["labels"] == 3
    assert classes["top3"] == 100.0


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_every_system_learns_the_dozen_by_heart(name, data, base, tmp_path):
    short = {**TOY, **OTHERS[name]}
    maps = Path(base["weights"]).parent / "maps"
    options = Options(recipe=short, base=base["weights"], features=str(maps))
    found = pipeline.train(name, [data], str(tmp_path), device="cpu", options=options)
    assert found["t2i_r1"] > 60
    again = evaluation.evaluate(found["weights"], data, split="val", device="cpu")
    assert again["mr"] > 75  # by chance 44
    assert again.get("rerank") == (found["weights"] if name == "mtgfe" else None)  # it judges itself whole
    assert not [key for key in load_file(found["weights"]) if key.startswith(checkpoint.TRAIN_ONLY)]


@pytest.mark.slow
def test_tuning_moves_the_last_stage_alone(data, base):
    tuned = checkpoint.load(Path(base["weights"])).backbone.state_dict()
    before = checkpoint.load(Path(base["weights"]).with_name("heads") / "compact.safetensors")
    assert before.backbone.activation_ranges.all()
    assert not tuned.pop("activation_ranges").any()  # they were those of the backbone as it was
    moved = {name for name in tuned if not tuned[name].equal(before.backbone.state_dict()[name])}
    assert moved
    assert all(name.startswith(("stages.2.", "close.")) for name in moved)


@pytest.mark.slow
def test_a_variant_may_change_the_recipe_and_tuning_be_left_out(data, base, tmp_path, monkeypatch):
    plan = pipeline.plan_of("compact")
    variants = {"short": {"blocks": 0, "recipe": {"epochs": 1, "augmentations": 1}}}
    monkeypatch.setattr(pipeline, "plan_of", lambda _: replace(plan, variants=variants))
    maps = Path(base["weights"]).parent / "maps"
    options = Options("short", recipe={"tuning.epochs": 0, "batch_size": 6}, features=str(maps))
    found = pipeline.train("compact", [data], str(tmp_path), device="cpu", resume=True, options=options)
    assert found["settings"]["blocks"] == 0
    assert {name: found["recipe"][name] for name in ("epochs", "augmentations", "batch_size", "image_lr_factor")} == {
        "epochs": 1, "augmentations": 1, "batch_size": 6, "image_lr_factor": 0.0,
    }  # fmt: skip
    assert Path(found["weights"]).parent.name == "heads"


def test_stored_views_serve_runs_that_want_fewer(data, tmp_path):
    looked = []

    def look(tiles):
        looked.append(len(tiles))
        return Maps(*(torch.full((len(tiles), 36, width), len(looked)) for width in (512, 1024)))

    dataset = open_dataset(data)
    two = feature_cache.fill(look, dataset, 2, tmp_path, lambda _: None)
    one = feature_cache.fill(look, dataset, 1, tmp_path, lambda _: None)
    assert looked == [24, 24]  # each view once
    assert (two.augmentations, one.augmentations) == (2, 1)
    assert (one.last[0] == two.last[0]).all()
    with pytest.raises(ModelError, match="other data"):
        feature_cache.fill(look, dataset, 3, tmp_path, lambda _: None)


def test_an_interrupted_run_ends_in_the_same_weights(data, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    plan = TrainingPlan(
        {}, Recipe(**TOY, epochs=4, text_epochs=2), Recipe(**TOY, epochs=2, image_lr_factor=0.5), DISTILLATION
    )
    monkeypatch.setattr(pipeline, "plan_of", lambda _: plan)
    pipeline.train("compact", [data], str(whole), device="cpu")
    kept, calls = trainer.Trainer._save_state, []

    def stop(self, epoch):
        kept(self, epoch)
        calls.append(epoch)
        if len(calls) in {2, 4}:  # once in the heads' run, once in the tuning
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer.Trainer, "_save_state", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            pipeline.train("compact", [data], str(broken), device="cpu", resume=True)
    pipeline.train("compact", [data], str(broken), device="cpu", resume=True)
    one, two = (load_file(folder / "compact.safetensors") for folder in (whole, broken))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_student_comes_nearer_to_its_teacher():
    found = teacher([*COLOURS, *SHAPES])
    texts = distillation.training_texts(["red stripes", "blue checks"], found, 30, seed=0)
    tower, vocabulary = distillation.shorten(found, texts)
    student = distillation.Student(tower, distillation.WordPiece(vocabulary))
    target = found.vectors(texts)
    with torch.no_grad():
        before = float(student.distance(texts, torch.from_numpy(target)))
    losses = list(distillation.distil(student, texts, target, 3, 0))
    assert losses[-1] < losses[0]
    with torch.no_grad():
        assert float(student.distance(texts, torch.from_numpy(target))) < before - 0.02


def test_the_student_keeps_every_letter_and_the_words_of_its_captions():
    found = teacher([*COLOURS, "xylophone"])
    _, vocabulary = distillation.shorten(found, ["red stripes"])
    assert {"a", "##z", "red", "[UNK]"} <= set(vocabulary)


def test_only_what_can_be_trained_is_trained(tmp_path):
    with pytest.raises(ModelError, match="cannot be trained"):
        recipe.plan_of("no-such-model")
    with pytest.raises(ModelError, match="no variant"):
        pipeline.train("galr", [], str(tmp_path), options=Options(variant="no-such-variant"))
    with pytest.raises(ModelError, match="recipe"):
        pipeline.train("galr", [], str(tmp_path), options=Options(recipe={"speed": 9}))
    with pytest.raises(ModelError, match="no tuning"):
        pipeline.train("galr", [], str(tmp_path), options=Options(recipe={"tuning.epochs": 1}))
    with pytest.raises(ModelError, match="only tuning"):
        pipeline.train("compact", [], str(tmp_path), options=Options(recipe={"epochs": 1}, base="compact"))
    with pytest.raises(ModelError, match="no such setting"):
        checkpoint.build("compact", ["[PAD]"], {"colour": "red"})


def test_a_missing_backbone_is_named(data, tmp_path):
    (tmp_path / "toy.jsonl").write_text(Path(data.partition(":")[0]).read_text())
    with pytest.raises(ModelError, match="backbones"):
        pipeline.train("compact", [f"{tmp_path}/toy.jsonl:{data.partition(':')[2]}"], str(tmp_path / "out"))
