import json

import numpy as np
import pytest
from PIL import Image
from rs_text_search_plugin.models.evaluation.labelled import save
from rs_text_search_plugin.models.training.datasets import open_dataset


class MeanColour:
    """Images as their mean colour."""

    def images(self, tiles):
        mean = tiles.reshape(len(tiles), -1, 3).mean(1).astype(np.float32)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def dataset(folder, name, rows):
    (folder / name).mkdir()
    for row in rows:
        Image.new("RGB", (150, 150), (9, 8, 7)).save(folder / name / f"{row['image']}.png")
    (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return open_dataset(f"{folder}/{name}.jsonl:{folder / name}")


@pytest.fixture
def told(tmp_path):
    scenes = [
        {"image": "a", "split": "val", "label": "airport", "captions": ["two planes beside a pond"]},
        {"image": "b", "split": "val", "label": "desert", "captions": ["yellow sand"]},
        {"image": "c", "split": "val", "label": "pond", "captions": ["a pond"]},
    ]
    chip = {
        "image": "d", "split": "val", "label": "airplane", "captions": [], "set": "airbus_planes", "gsd": 0.5,
        "boxes": [["airplane", 5, 5, 145, 145]],
    }  # fmt: skip
    data = [dataset(tmp_path, "scenes", scenes), dataset(tmp_path, "chips", [chip])]
    save(MeanColour(), tmp_path / "out.npz", data)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as stored:
        return dict(stored)


@pytest.mark.parametrize(
    ("name", "positive", "negative"),
    [
        ("desert", "b", "acd"),
        ("airport", "a", "bc"),  # a chip of an apron may well be called so
        ("waterhole", "c", "abd"),
        ("airplanes", "ad", "bc"),
        ("wind turbine", "", "abcd"),
        ("ship", "", "abcd"),
    ],
)
def test_labels_captions_and_boxes_tell_which_names_fit(told, name, positive, negative):
    row = told["queries"].tolist().index(name)
    letters = np.array(list("abcddd"))  # the chip as a whole and two windows on it
    assert told["images"].shape == (6, 3)
    assert told["scenes"].tolist() == ["airport", "desert", "pond", *["airbus_planes"] * 3]
    assert set(letters[told["positive"][row]]) == set(positive)
    assert set(letters[told["negative"][row]]) == set(negative)
