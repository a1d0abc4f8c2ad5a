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
from rs_text_search_plugin.models.training import distillation, recipe, trainer
from rs_text_search_plugin.models.training import feature_cache as features
from rs_text_search_plugin.models.training import pipeline as training
from rs_text_search_plugin.models.training.datasets import open_dataset
from rs_text_search_plugin.models.training.pipeline import Options
from rs_text_search_plugin.models.training.recipe import Recipe, Training
from safetensors.torch import load_file, save_file

from rs_text_search_plugin.contracts.errors import ModelError
from tests.models.made import gluon_tensors, settled, settled_eyes, teacher, tf2_tensors

COLOURS = ["red", "green", "blue", "white"]
SHAPES = ["stripes", "checks", "plain"]
TOY = {"batch": 12, "views": 1, "label_texts": 0.0, "own_captions": 1.0, "keep": 0.9, "measured": 5}
HEADS = Recipe(**TOY, epochs=30, rate=3e-3, text_epochs=5)
TUNING = Recipe(**{**TOY, "keep": 0.5}, epochs=2, rate=1e-5, backbone=0.5, texts=2)
LESSON = {"made_up_texts": 20, "epochs": 0}
OTHERS = {
    "galr": {"epochs": 60, "rate": 2e-3},
    "mtgfe": {"epochs": 120, "rate": 1e-3, "side": 96},
    "dove": {"epochs": 60, "rate": 2e-3},
    "mgrm_el": {"epochs": 60, "rate": 2e-3},
}


def picture(colour, shape):
    y, x = np.mgrid[0:64, 0:64] // 8
    on = {"stripes": x % 2, "checks": (x + y) % 2, "plain": np.ones_like(x)}[shape].astype(bool)
    tint = Image.new("RGB", (1, 1), colour).getpixel((0, 0))
    return Image.fromarray(np.where(on[..., None], np.array(tint), 40).astype(np.uint8))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twelve pictures with a caption each, for train and val alike, and a backbone beside them."""
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
    save_file(settled(gluon_tensors(), x), folder / training.BACKBONE)
    save_file(settled_eyes(tf2_tensors(), x), folder / training.EYES)
    return f"{folder}/toy.jsonl:{folder}/toy.tar"


@pytest.fixture(scope="module", autouse=True)
def small():
    """A short recipe for `compact` and a teacher that knows six words."""
    with pytest.MonkeyPatch.context() as patch:
        plan = Training({}, HEADS, TUNING, LESSON)
        known = recipe.training
        patch.setattr(training, "training", lambda name: plan if name == "compact" else known(name))
        patch.setattr(training.distillation, "open_teacher", lambda: teacher([*COLOURS, *SHAPES]))
        yield


@pytest.fixture(scope="module")
def base(data, tmp_path_factory):
    """`compact`, trained on the dozen."""
    return training.train("compact", [data], str(tmp_path_factory.mktemp("compact")), device="cpu")


@pytest.mark.slow
def test_a_dozen_pictures_are_learnt_by_heart(data, base, tmp_path):
    assert base["t2i_r1"] > 60
    assert Path(base["weights"]).stat().st_size == base["bytes"]
    assert json.loads(Path(base["weights"]).with_name("result.json").read_text())["mr"] == base["mr"]
    again = evaluation.evaluate(
        base["weights"], data, split="val", device="cpu", save_embeddings=f"{tmp_path}/e.npz"
    )
    assert again["mr"] == pytest.approx(base["mr"], abs=15)
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
    found = training.train(name, [data], str(tmp_path), device="cpu", options=options)
    assert found["t2i_r1"] > 60
    again = evaluation.evaluate(found["weights"], data, split="val", device="cpu")
    assert again["mr"] == pytest.approx(found["mr"], abs=15)
    assert again.get("rerank") == (found["weights"] if name == "mtgfe" else None)  # it judges itself whole
    assert not [key for key in load_file(found["weights"]) if key.startswith(checkpoint.LESSON)]


@pytest.mark.slow
def test_tuning_moves_the_last_stage_alone(data, base):
    tuned = checkpoint.load(Path(base["weights"])).backbone.state_dict()
    before = checkpoint.load(Path(base["weights"]).with_name("heads") / "compact.safetensors")
    assert before.backbone.peaks.all()
    assert not tuned.pop("peaks").any()  # they were those of the backbone as it was
    moved = {name for name in tuned if not tuned[name].equal(before.backbone.state_dict()[name])}
    assert moved
    assert all(name.startswith(("stages.2.", "close.")) for name in moved)


@pytest.mark.slow
def test_a_variant_may_change_the_recipe_and_tuning_be_left_out(data, base, tmp_path, monkeypatch):
    plan = training.training("compact")
    variants = {"short": {"blocks": 0, "recipe": {"epochs": 1, "views": 1}}}
    monkeypatch.setattr(training, "training", lambda _: replace(plan, variants=variants))
    maps = Path(base["weights"]).parent / "maps"
    options = Options("short", recipe={"tuning.epochs": 0, "batch": 6}, features=str(maps))
    found = training.train("compact", [data], str(tmp_path), device="cpu", resume=True, options=options)
    assert found["settings"]["blocks"] == 0
    assert {name: found["recipe"][name] for name in ("epochs", "views", "batch", "backbone")} == {
        "epochs": 1, "views": 1, "batch": 6, "backbone": 0.0,
    }  # fmt: skip
    assert Path(found["weights"]).parent.name == "heads"


def test_stored_views_serve_runs_that_want_fewer(data, tmp_path):
    looked = []

    def look(tiles):
        looked.append(len(tiles))
        return Maps(*(torch.full((len(tiles), 36, width), len(looked)) for width in (512, 1024)))

    dataset = open_dataset(data)
    two = features.compute(look, dataset, 2, tmp_path, lambda _: None)
    one = features.compute(look, dataset, 1, tmp_path, lambda _: None)
    assert looked == [24, 24]  # each view once
    assert (two.views, one.views) == (2, 1)
    assert (one.last[0] == two.last[0]).all()
    with pytest.raises(ModelError, match="other data"):
        features.compute(look, dataset, 3, tmp_path, lambda _: None)


def test_an_interrupted_run_ends_in_the_same_weights(data, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    plan = Training({}, Recipe(**TOY, epochs=4, text_epochs=2), Recipe(**TOY, epochs=2, backbone=0.5), LESSON)
    monkeypatch.setattr(training, "training", lambda _: plan)
    training.train("compact", [data], str(whole), device="cpu")
    kept, calls = trainer.Trainer._keep, []

    def stop(self, epoch):
        kept(self, epoch)
        calls.append(epoch)
        if len(calls) in {2, 4}:  # once in the heads' run, once in the tuning
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer.Trainer, "_keep", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            training.train("compact", [data], str(broken), device="cpu", resume=True)
    training.train("compact", [data], str(broken), device="cpu", resume=True)
    one, two = (load_file(folder / "compact.safetensors") for folder in (whole, broken))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_student_comes_nearer_to_its_teacher():
    found = teacher([*COLOURS, *SHAPES])
    texts = distillation.lesson(["red stripes", "blue checks"], found, 30, seed=0)
    tower, vocabulary = distillation.shortened(found, texts)
    student = distillation.Student(tower, distillation.WordPiece(vocabulary))
    target = found.vectors(texts)
    with torch.no_grad():
        before = float(student.distance(texts, torch.from_numpy(target)))
    distillation.distil(student, texts, target, 3, 0, lambda _: None)
    with torch.no_grad():
        assert float(student.distance(texts, torch.from_numpy(target))) < before - 0.02


def test_the_student_keeps_every_letter_and_the_words_of_its_captions():
    found = teacher([*COLOURS, "xylophone"])
    _, vocabulary = distillation.shortened(found, ["red stripes"])
    assert {"a", "##z", "red", "[UNK]"} <= set(vocabulary)


def test_only_what_can_be_trained_is_trained(tmp_path):
    with pytest.raises(ModelError, match="cannot be trained"):
        recipe.training("no-such-model")
    with pytest.raises(ModelError, match="no variant"):
        training.train("galr", [], str(tmp_path), options=Options(variant="no-such-variant"))
    with pytest.raises(ModelError, match="recipe"):
        training.train("galr", [], str(tmp_path), options=Options(recipe={"speed": 9}))
    with pytest.raises(ModelError, match="no tuning"):
        training.train("galr", [], str(tmp_path), options=Options(recipe={"tuning.epochs": 1}))
    with pytest.raises(ModelError, match="only tuning"):
        training.train("compact", [], str(tmp_path), options=Options(recipe={"epochs": 1}, base="compact"))
    with pytest.raises(ModelError, match="no such setting"):
        checkpoint.build("compact", ["[PAD]"], {"colour": "red"})


def test_a_missing_backbone_is_named(data, tmp_path):
    (tmp_path / "toy.jsonl").write_text(Path(data.partition(":")[0]).read_text())
    with pytest.raises(ModelError, match="backbones"):
        training.train("compact", [f"{tmp_path}/toy.jsonl:{data.partition(':')[2]}"], str(tmp_path / "out"))
