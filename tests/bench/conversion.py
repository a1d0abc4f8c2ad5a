"""The backbone's own graph against OpenVINO's conversion, with and without NNCF's quantisation.

    python -m tests.bench.conversion compact JSONL[:IMAGES]     with `pip install nncf` for the last line

Speed is tiles of the encoder's size a second, in turns, median of ROUNDS; mR that of the first dataset's val split by
the cosine. NNCF sets its ranges on CALIBRATION images of the train split.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
import openvino
import torch
from rs_text_search_plugin.models.evaluation.retrieval import recalls
from rs_text_search_plugin.models.inference.runtime import RuntimeChoice, backbone_runner, request_queue
from rs_text_search_plugin.models.layers.resnet50v2 import ResNet50V2
from rs_text_search_plugin.models.registry import load
from rs_text_search_plugin.models.systems.base import Maps
from rs_text_search_plugin.models.training.augment import resized_image
from rs_text_search_plugin.models.training.datasets import Row, open_dataset
from torch.nn import functional as fn

ROUNDS, TILES, CALIBRATION = 5, 64, 300
Runner = Callable[[torch.Tensor], Maps]


class TilesToMaps(torch.nn.Module):
    """(1, S, S, 3) uint8 -> the two maps of `Maps`, as OpenVINO is to convert it."""

    def __init__(self, backbone: ResNet50V2) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, tile: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        middle, last = self.backbone(tile.permute(0, 3, 1, 2).float() / 255)
        pooled = (
            fn.avg_pool2d(middle, 4),
            fn.avg_pool2d(last, 2),
        )  # as `pool_grid`, with sizes that can be traced
        return pooled[0].flatten(2).transpose(1, 2), pooled[1].flatten(2).transpose(1, 2)


class Converted:
    """A converted model behind a queue of requests, as the encoder runs its own graph."""

    def __init__(self, model: Any, floats: str) -> None:
        self.queue = request_queue(model, floats)

    def __call__(self, tiles: torch.Tensor) -> Maps:
        found = np.empty((len(tiles), 36, 512), np.float32), np.empty((len(tiles), 36, 1024), np.float32)
        for number, tile in enumerate(tiles.numpy()):
            self.queue.start_async(
                [tile[None]], [found[0][number : number + 1], found[1][number : number + 1]]
            )
        self.queue.wait_all()
        return Maps(*map(torch.from_numpy, found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("data", metavar="JSONL[:IMAGES]")
    args = parser.parse_args()
    data, encoder = open_dataset(args.data), load(args.model, "cpu")
    system = encoder.towers.system
    own = [
        ("own graph, 8 bits", RuntimeChoice("OpenVINO", "int8", "bench")),
        ("own graph, bf16", RuntimeChoice("OpenVINO", "bf16", "bench")),
    ]
    runners: dict[str, Runner] = {
        name: backbone_runner(system.backbone, torch.device("cpu"), choice) for name, choice in own
    }
    images = {split: [data.images.read(row.image) for row in rows] for split, rows in _rows(data).items()}
    runners |= converted(system.backbone, [resized_image(image) for image in images["train"]], encoder.size)
    tiles = np.stack([resized_image(image) for image in images["val"]])
    speeds = speeds_of(runners, torch.from_numpy(tiles[:TILES]))
    captions = [row.captions for row in _rows(data)["val"]]
    texts = encoder.texts([text for some in captions for text in some])
    owners = np.repeat(np.arange(len(captions)), [len(some) for some in captions])
    print("| backbone | tiles/s | of own 8 bits | val mR |\n|---|---|---|---|")
    for name, runner in runners.items():
        vectors = np.concatenate(
            [embedded(system, runner, tiles[i : i + 32]) for i in range(0, len(tiles), 32)]
        )
        mr = recalls(vectors, texts, owners)["mr"]
        print(
            f"| {name} | {speeds[name]:.0f} | {speeds[name] / speeds[own[0][0]]:.2f} | {mr:.2f} |", flush=True
        )


def _rows(data: Any) -> dict[str, list[Row]]:
    return {
        "train": data.split("train")[:: max(1, len(data.split("train")) // CALIBRATION)],
        "val": data.split("val"),
    }


def converted(backbone: ResNet50V2, train: Sequence[np.ndarray], size: int) -> dict[str, Runner]:
    """OpenVINO's conversion in bf16, and quantised by NNCF where it is installed."""
    example = torch.zeros(1, size, size, 3, dtype=torch.uint8)
    model = openvino.convert_model(
        TilesToMaps(backbone).eval(), example_input=example, input=[1, size, size, 3]
    )
    found: dict[str, Runner] = {"convert_model, bf16": Converted(model, "bf16")}
    if importlib.util.find_spec("nncf"):
        import nncf  # noqa: PLC0415

        calibration = nncf.Dataset([tile[None] for tile in train])
        preset = nncf.QuantizationPreset.PERFORMANCE
        quantised = nncf.quantize(model, calibration, preset=preset, subset_size=len(train))
        found["convert_model and NNCF, 8 bits"] = Converted(quantised, "bf16")
    return found


def speeds_of(runners: dict[str, Runner], tiles: torch.Tensor) -> dict[str, float]:
    """Tiles a second of each, in turns."""
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(ROUNDS + 1):
        for name, runner in runners.items():
            start = time.perf_counter()
            runner(tiles)
            times[name].append(time.perf_counter() - start)
    return {name: len(tiles) / median(some[1:]) for name, some in times.items()}


def embedded(system: Any, runner: Runner, tiles: np.ndarray) -> np.ndarray:
    """(n, S, S, 3) -> (n, dim)."""
    maps = runner(torch.from_numpy(tiles))
    with torch.inference_mode():
        return system.embed_images(Maps(maps.middle.float(), maps.last.float())).numpy()


if __name__ == "__main__":
    main()
