import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rs_text_search_plugin.models import checkpoint
from rs_text_search_plugin.models.layers.minilm import SPECIAL
from rs_text_search_plugin.models.systems.compact import Compact
from rs_text_search_plugin.models.training import pipeline
from rs_text_search_plugin.models.training.datasets import open_dataset
from rs_text_search_plugin.models.training.mixed import tuning as mixed_tuning
from rs_text_search_plugin.models.training.mixed.batches import Mix, MixedBatches
from rs_text_search_plugin.models.training.mixed.chips import ObjectChips
from rs_text_search_plugin.models.training.mixed.scenes import SceneImages
from rs_text_search_plugin.models.training.mixed.things import PRESENT, things
from rs_text_search_plugin.models.training.mixed.windows import View
from rs_text_search_plugin.models.training.pairs import training_pairs
from rs_text_search_plugin.models.training.pipeline import Options
from rs_text_search_plugin.models.training.recipe import MixedRecipe, Recipe, TrainingPlan

RECIPE = MixedRecipe(
    batch_size=12,
    lr=1e-4,
    image_lr_factor=0.5,
    texts_per_image=2,
    steps=2,
    eval_every=1,
    scenes=(0.6,),
    things=0.4,
    image_size=64,
)
WORDS = ["airport", "desert", "airplane", "planes", "a", "many", "sand"]


def write(folder, name, rows, tint):
    images = folder / name
    images.mkdir()
    for row in rows:
        image = Image.new("RGB", (64, 64), tint[row["label"]])
        for _, *corners in row.get("boxes", ()):
            image.paste((255, 255, 255), tuple(corners))
        image.save(images / f"{row['image']}.png")
    (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return f"{folder}/{name}.jsonl:{images}"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two kinds of scenes with captions, and chips with one airplane each."""
    folder = tmp_path_factory.mktemp("mixed")
    captions = {"airport": ["planes near a terminal"], "desert": ["yellow sand"]}
    scenes = [
        {"image": f"{label}{n}{split}", "split": split, "label": label, "captions": captions[label]}
        for label in captions for n in range(4) for split in ("train", "val")
    ]  # fmt: skip
    chips = [
        {
            "image": f"chip{n}{split}", "split": split, "label": "airplane", "captions": ["airplane"],
            "boxes": [["airplane", 20, 20, 44, 44]], "gsd": 0.5, "set": "nwpu_vhr10",
        }
        for n in range(9) for split in ("train", "val")
    ]  # fmt: skip
    tint = {"airport": (90, 90, 90), "desert": (200, 180, 90), "airplane": (60, 60, 70)}
    return write(folder, "scenes", scenes, tint), write(folder, "chips", chips, tint)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A `compact` with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("begun") / "compact.safetensors"
    checkpoint.save(Compact([*SPECIAL, *WORDS], {}), "compact", path)
    return path


@pytest.fixture
def batches(data):
    scenes, chips = map(open_dataset, data)
    found, table = training_pairs([scenes]), things()
    images = SceneImages([scenes], found, table, RECIPE)
    return MixedBatches(images, ObjectChips(chips, table, found.labels), Mix((0.6,), 0.4, 0, 0, 0), 64, 2)


def test_a_batch_holds_the_shares_of_its_mix(batches):
    found = batches.batch(10, np.random.default_rng(0))
    assert [example.captioned for example in found] == [True] * 6 + [False] * 4
    assert {example.image.shape for example in found} == {(64, 64, 3)}
    assert all(1 <= len(example.texts) <= 2 for example in found)


def test_texts_about_things_name_what_is_present(batches):
    rng = np.random.default_rng(0)
    for example in batches.batch(40, rng):
        for text in example.texts:
            assert not text.of_things or all(example.things[thing] == PRESENT for thing in text.about)


def test_a_pasted_thing_is_known_and_named(batches):
    rng, empty = np.random.default_rng(0), View(Image.new("RGB", (64, 64)), things().of_label("desert"))
    found = [batches.things.paste(empty, rng) for _ in range(40)]
    told = [view.known[things().number["airplane"]] == PRESENT for view, text in found if text]
    assert len(told) > 15
    assert all(told)


@pytest.fixture
def plan(monkeypatch):
    found = TrainingPlan({}, Recipe(), Recipe(), {}, mixed=RECIPE)
    monkeypatch.setattr(pipeline, "plan_of", lambda _: found)
    return found


def test_a_base_goes_on_with_scenes_and_things(data, begun, plan, tmp_path):
    found = pipeline.train("compact", [*data], str(tmp_path), device="cpu", options=Options(base=str(begun)))
    assert set(found) >= {"mr", "things"}
    new, old = (checkpoint.load(path).state_dict() for path in (Path(found["weights"]), begun))
    moved = {name for name in old if not torch.equal(new[name], old[name])}
    assert {"image_head.tokens.weight", "text.layers.0.qkv.weight"} <= moved
    assert not {
        name for name in moved if name.startswith(("backbone.stem", "backbone.stages.0", "text.words"))
    }


def test_an_interrupted_run_goes_on(data, begun, plan, tmp_path, monkeypatch):
    kept = mixed_tuning.MixedTuning._keep

    def stop(self):
        kept(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(mixed_tuning.MixedTuning, "_keep", stop)
    with pytest.raises(KeyboardInterrupt):
        pipeline.train("compact", [*data], str(tmp_path), device="cpu", options=Options(base=str(begun)))
    monkeypatch.undo()
    monkeypatch.setattr(pipeline, "plan_of", lambda _: replace(plan))
    steps = []
    update = mixed_tuning.MixedTuning._update
    monkeypatch.setattr(
        mixed_tuning.MixedTuning, "_update", lambda self: (update(self), steps.append(self.step))
    )
    pipeline.train(
        "compact", [*data], str(tmp_path), device="cpu", resume=True, options=Options(base=str(begun))
    )
    assert steps == [2]
