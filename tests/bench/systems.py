"""Train systems and their variants one after the other and keep what they reach in docs/results/.

python -m tests.bench.systems train RUNS JSONL[:IMAGES]... MODEL[:VARIANT]... [seed=N] [epochs=N ...]
python -m tests.bench.systems measure JSONL[:IMAGES] MODEL...        committed weights: recall, reranks, size, speed
python -m tests.bench.systems filter JSONL[:IMAGES] FIRST RERANKER [K,K...]
    recall and cost by the number of candidates; without K for several, and for all on a sample: some minutes

A run that is there is not repeated, one that broke off goes on. All runs in RUNS share its maps. `python -m
tests.bench.results` makes docs/results.md of what is kept."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rs_text_search_plugin.models.evaluation.retrieval import Rerank, embed_images, embed_texts, evaluate
from rs_text_search_plugin.models.inference.fusion_reranker import open_pair_scorer, rerank_top_k
from rs_text_search_plugin.models.registry import available, entries, load, weights_of
from rs_text_search_plugin.models.training.datasets import open_dataset, pixels
from rs_text_search_plugin.models.training.pipeline import Options, train

from .words import precision

KEPT = Path(__file__).parents[2] / "docs" / "results"
CANDIDATES = (8, 16, 32, 64, 128)
BEHIND = 16
"""Candidates when a run is judged as a reranker."""

SAMPLE = 40
"""Captions that are scored against all images: all of them would take hours."""
TILES, TEXTS, ROUNDS = 128, 20, 3


def train_all(runs: str, *wanted: str) -> None:
    """Train what is wanted and not there yet."""
    data = [w for w in wanted if ".jsonl" in w]
    told = {key: json.loads(value) for key, _, value in (w.partition("=") for w in wanted) if value}
    seed = told.pop("seed", 0)
    recipe = {"measured": told["epochs"], **told} if "epochs" in told else told
    for name in (w for w in wanted if "=" not in w and w not in data):
        model, _, variant = name.partition(":")
        label = "-".join(
            [model, variant or "base", f"seed{seed}", *(f"{k}{v}" for k, v in sorted(told.items()))]
        )
        target = KEPT / f"run-{label}.json"
        if target.exists():
            continue
        options = Options(variant, recipe=recipe, features=f"{runs}/maps")
        found = train(model, data, f"{runs}/{label}", seed=seed, resume=True, options=options)
        weights = found.pop("weights")
        if model == "compact":
            found["words"] = precision(weights, data)
        if entries()[model].get("reranker"):
            behind = evaluate("compact", data[0], split="val", rerank=Rerank(weights, BEHIND))
            found["fused"] = behind["mr"]
        keep(target, found)


def measure(data: str, *models: str) -> None:
    """What the committed weights of each model reach on the val split, and what they cost here."""
    parameters = {path.stem: _parameters(path) for path in map(weights_of, models)}
    infos = {info.name: info for info in available()}
    speed = _speed(models)
    for model in models:
        own, again = (
            evaluate(model, data, split="val", rerank=Rerank(how)) for how in ("own", "multivariate")
        )
        found = {
            **own, "reranked": again["mr"], "bytes": infos[model].bytes,
            "parameters": parameters[weights_of(model).stem], **speed[model],
        }  # fmt: skip
        keep(KEPT / f"model-{model}.json", found)


def filter_all(data: str, first: str, reranker: str, candidates: str = "") -> None:
    """Recall and milliseconds a query for several numbers of candidates; for all, on a sample of captions."""
    chosen = [int(k) for k in candidates.split(",")] if candidates else CANDIDATES
    lines = [evaluate(first, data, split="val", rerank=Rerank(reranker, k)) for k in chosen]
    sample = [] if candidates else _sampled(data, first, reranker)
    keep(KEPT / f"filter-{first}-{reranker}.json", {"all": lines, "sample": sample})


def _sampled(data: str, first: str, reranker: str) -> list[dict[str, float]]:
    """The same captions with some and with all images as candidates."""
    dataset, encoder = open_dataset(data), load(first)
    rows = dataset.split("val")
    owners = np.random.default_rng(0).integers(len(rows), size=SAMPLE)
    captions = [rows[owner].captions[number % 5] for number, owner in enumerate(owners)]
    matched = embed_texts(encoder, captions) @ embed_images(encoder, dataset, rows).T
    mix = entries()[reranker]["rerank"]["cosine"]
    tiles = (pixels(dataset.images.read(row.image)) for row in rows)
    scores = open_pair_scorer(weights_of(reranker), tiles, captions)
    found = []
    for k in (*CANDIDATES, len(rows)):
        began = time.perf_counter()
        order = rerank_top_k(matched, scores.by_text, k, mix)
        spent = 1000 * (time.perf_counter() - began) / SAMPLE
        ranks = (order >= order[np.arange(SAMPLE), owners][:, None]).sum(1)
        recall = {f"r{depth}": 100 * float((ranks <= depth).mean()) for depth in (1, 5, 10)}
        found.append({"candidates": k, "ms_per_query": round(spent, 1), **recall})
    return found


def _parameters(path: Path) -> int:
    from rs_text_search_plugin.models import checkpoint  # noqa: PLC0415

    return sum(p.numel() for p in checkpoint.load(path).parameters())


def _speed(models: Sequence[str]) -> dict[str, dict[str, float]]:
    """Tiles of 224 px a second and milliseconds a text, the best of some rounds in which all take turns."""
    encoders = {model: load(model) for model in models}
    tiles = np.random.default_rng(0).integers(0, 255, (TILES, 224, 224, 3), np.uint8)
    texts = [f"{n} white storage tanks near the sea" for n in range(TEXTS)]
    best = {model: {"tiles_per_s": 0.0, "ms_per_text": 1e9} for model in models}
    for _ in range(ROUNDS):
        for model, encoder in encoders.items():
            rate = TILES / _seconds(lambda encoder=encoder: encoder.images(tiles))
            spent = _seconds(lambda encoder=encoder: [encoder.texts([text]) for text in texts]) / TEXTS
            found = best[model]
            found["tiles_per_s"] = round(max(found["tiles_per_s"], rate), 1)
            found["ms_per_text"] = round(min(found["ms_per_text"], 1000 * spent), 2)
    return best


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def keep(path: Path, found: Any) -> None:
    """Write one record."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1, default=float) + "\n", "utf-8")
    print(path.name)


if __name__ == "__main__":
    open_dataset(next(word for word in sys.argv if ".jsonl" in word))  # a wrong path should fail at once
    {"train": train_all, "measure": measure, "filter": filter_all}[sys.argv[1]](*sys.argv[2:])
