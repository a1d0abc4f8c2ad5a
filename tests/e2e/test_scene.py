"""The whole engine with the default model on the demo scene, through the command line."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from tests.demo.scene import make_scene
from tests.demo.truth import hits, truth
from tests.e2e.conftest import COMMAND, Engine
from tests.e2e.desktop import wait


@pytest.mark.slow
def test_phrases_find_their_places(tmp_path: Path) -> None:
    """For three of four phrases, at least, one of the best five tiles lies in the right place."""
    raster, truth_file = make_scene(tmp_path)
    places = truth(truth_file)
    requests = [("index", {"source": str(raster)})]
    requests += [("search", {"indexes": [str(raster)], "text": phrase, "top": 5}) for phrase in places]
    _, *answers = served(requests)
    right = {
        phrase: hits(answer["matches"], where)
        for (phrase, where), answer in zip(places.items(), answers, strict=True)
    }
    print(right)
    found = sum(count > 0 for count in right.values())
    assert found >= 0.75 * len(right), right


@pytest.mark.slow
def test_killed_index_ends_like_an_uninterrupted_one(engine: Engine, own_scene: Path, tmp_path: Path) -> None:
    fine = ["--tile-px", 64]  # 256 tiles in parts of 64
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [COMMAND, "index", own_scene, *fine, "--out", killed]
    process = subprocess.Popen([str(word) for word in command], stderr=subprocess.DEVNULL)
    wait(lambda: process.poll() is not None or list(killed.glob("part-*.parquet")), "part of the index")
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the index was complete before it could be killed"
    engine("index", own_scene, *fine, "--out", killed)
    engine("index", own_scene, *fine, "--out", whole)
    assert found(engine, killed) == found(engine, whole)


def test_same_seed_draws_the_same_scene(small_scene: Path, tmp_path: Path) -> None:
    again, _ = make_scene(tmp_path, 1024)
    with rasterio.open(small_scene) as first, rasterio.open(again) as second:
        assert first.tags()["SYNTHETIC"] == "yes"
        assert np.array_equal(first.read(), second.read())


def served(requests: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """What one engine process answers to operations, one after the other (docs/protocol.md)."""
    results = []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([COMMAND, "serve"], **pipes) as server:
        for number, (op, args) in enumerate(requests):
            server.stdin.write(json.dumps({"id": number, "op": op, "args": args}) + "\n")
            server.stdin.flush()
            while "result" not in (answer := json.loads(server.stdout.readline())):
                assert "error" not in answer
            results.append(answer["result"])
        server.stdin.close()
    return results


def found(engine: Engine, index: Path) -> list[tuple[Any, ...]]:
    """Tiles and exact scores of a search, in order."""
    matches = engine("search", index, "storage tanks", "--top", 2000)["matches"]
    return [(match["rank"], match["id"], match["score"], match["corners"]) for match in matches]
