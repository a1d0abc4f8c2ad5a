import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rs_text_search_plugin.models import distillation, evaluation, training
from rs_text_search_plugin.models.contrastive import Recipe
from safetensors.torch import load_file, save_file

from rs_text_search_plugin.engine.errors import ModelError

from .made import gluon_tensors, settled, teacher

COLOURS = ["red", "green", "blue", "white"]
SHAPES = ["stripes", "checks", "plain"]
RECIPE = Recipe(
    epochs=24,
    joint_epochs=2,
    batch=4,
    rate=3e-3,
    label_texts=0.0,
    own_captions=1.0,
    made_up_texts=20,
    distil_epochs=0,
)
BRIEF = replace(RECIPE, epochs=4, joint_epochs=2)


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
    pictures = np.stack([np.asarray(picture(c, s).resize((192, 192))) for c in COLOURS for s in SHAPES])
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
    save_file(settled(gluon_tensors(), x), folder / training.BACKBONE)
    return f"{folder}/toy.jsonl:{folder}/toy.tar"


@pytest.fixture
def small(monkeypatch):
    """One view and a teacher that knows six words."""
    monkeypatch.setattr(training, "VIEWS", 1)
    monkeypatch.setattr(training.distillation, "open_teacher", lambda: teacher([*COLOURS, *SHAPES]))


def test_a_dozen_pictures_are_learnt_by_heart(data, small, tmp_path):
    figures = training.train("compact", [data], str(tmp_path), device="cpu", recipe=RECIPE)
    assert figures["t2i_r1"] > 60
    assert Path(figures["weights"]).stat().st_size == figures["bytes"]
    again = evaluation.evaluate(
        figures["weights"], data, split="val", device="cpu", save_embeddings=f"{tmp_path}/e.npz"
    )
    assert again["mr"] == pytest.approx(figures["mr"], abs=15)
    saved = np.load(tmp_path / "e.npz")
    assert saved["images"].shape == saved["texts"].shape == (12, 384)
    assert saved["captions"][0] == "red stripes"
    assert saved["image_names"][0] == "red_stripes.png"
    owners = np.arange(12)
    assert evaluation.recalls(saved["images"], saved["texts"], owners)["mr"] == pytest.approx(again["mr"])
    classes = evaluation.evaluate(figures["weights"], data, split="val", task="zeroshot", device="cpu")
    assert classes["labels"] == 3
    assert classes["top3"] == 100.0


def test_an_interrupted_run_ends_in_the_same_weights(data, small, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    training.train("compact", [data], str(whole), device="cpu", recipe=BRIEF)
    kept = training.Heads._keep

    def stop_before_last(self, epoch):
        kept(self, epoch)
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.Heads, "_keep", stop_before_last)
        with pytest.raises(KeyboardInterrupt):
            training.train("compact", [data], str(broken), device="cpu", recipe=BRIEF)
    training.train("compact", [data], str(broken), device="cpu", recipe=BRIEF, resume=True)
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
        training.train("no-such-model", [], str(tmp_path))


def test_a_missing_backbone_is_named(data, tmp_path):
    (tmp_path / "toy.jsonl").write_text(Path(data.partition(":")[0]).read_text())
    with pytest.raises(ModelError, match="backbones"):
        training.train("compact", [f"{tmp_path}/toy.jsonl:{data.partition(':')[2]}"], str(tmp_path / "out"))
