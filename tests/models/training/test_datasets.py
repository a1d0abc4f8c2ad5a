import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image
from rs_text_search_plugin.models.training.datasets import open_dataset, pixels

from rs_text_search_plugin.contracts.errors import ModelError


def png(colour):
    file = io.BytesIO()
    Image.new("RGB", (4, 3), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def tarred(tmp_path):
    rows = [
        {"image": "a.jpg", "split": "train", "label": "x", "captions": ["one"], "paraphrases": ["uno"]},
        {"image": "b.jpg", "split": "val", "label": "y", "captions": []},
    ]
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for number, (name, colour) in enumerate([("a.png", "red"), ("deep/b.webp", "blue")]):
        with tarfile.open(tmp_path / f"set-{number}.tar", "w") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(png(colour))
            tar.addfile(member, io.BytesIO(png(colour)))
    return tmp_path


@pytest.mark.parametrize("images", ["", ":{0}/set-0.tar,{0}/set-1.tar"])
def test_pictures_come_out_of_several_tars_whatever_their_extension(tarred, images):
    data = open_dataset(f"{tarred}/set.jsonl{images.format(tarred)}")
    assert len(data.images) == 2
    assert pixels(data.images.read("a.jpg"))[0, 0].tolist() == [255, 0, 0]
    assert pixels(data.images.read("b.tif"))[0, 0].tolist() == [0, 0, 255]
    assert data.rows[0].more_captions == ("uno",)


def test_pictures_come_out_of_a_folder(tarred):
    folder = tarred / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(png("lime"))
    data = open_dataset(f"{tarred}/set.jsonl:{folder}")
    assert np.array_equal(pixels(data.images.read("a.jpg"))[2, 3], [0, 255, 0])
    assert "b" not in data.images
    with pytest.raises(ModelError, match=r"No image named b\.jpg"):
        data.images.read("b.jpg")


def test_splits_are_named_when_one_is_missing(tarred):
    data = open_dataset(f"{tarred}/set.jsonl")
    assert [row.image for row in data.split("val")] == ["b.jpg"]
    with pytest.raises(ModelError, match="no split 'test'") as error:
        data.split("test")
    assert "train, val" in error.value.hint


def test_a_broken_row_is_named_by_its_line(tarred):
    table = tarred / "set.jsonl"
    table.write_text(table.read_text() + '\n{"image": "c"}\n')
    with pytest.raises(ModelError, match="line 3"):
        open_dataset(str(table))
    with pytest.raises(ModelError, match="does not exist"):
        open_dataset(f"{tarred}/none.jsonl")
