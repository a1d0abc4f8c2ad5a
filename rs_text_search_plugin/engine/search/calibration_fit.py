"""Fit a model's calibration to held-out images with captions; prints the block for models/registry.toml.

    rs-text-search evaluate compact --data rsicd.jsonl --split val --save-embeddings val.npz
    python -m rs_text_search_plugin.engine.search.calibration_fit compact --embeddings val.npz --data rsicd.jsonl

or, with things as well as scenes (models/evaluation/labelled.py):

    python -m rs_text_search_plugin.models.evaluation.labelled compact val.npz rsicd.jsonl objects.jsonl
    python -m rs_text_search_plugin.engine.search.calibration_fit compact --labelled val.npz

An image shows a query when its scene label goes by that name, does not when neither label nor captions mention
it, and is left out in between. Indexes are simulated by drawing images: 5 to 1500 tiles, of one to all scenes,
some with the loss of contrast that unfamiliar imagery has. The constants come from every other name, the figures
from the rest.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rs_text_search_plugin.contracts.arrays import F32, Bool
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.vectors import unit_length
from rs_text_search_plugin.models import registry
from rs_text_search_plugin.models.label_prompts import label_prompts

from .calibration import Calibration, clarity, gain, lines, percent, usual
from .query.embedding import embed_english, vocabulary_vectors

ABSENT_THINGS = (
    "elephants", "igloo", "pyramids", "giraffe", "banana", "piano", "spaceship", "laptop computer", "cat", "guitar",
    "submarine", "hot air balloon", "kitchen table", "birthday cake", "bicycle wheel", "penguins", "coffee cup",
)  # fmt: skip
"""What no image shows."""
MIN_SILENT = 0.94
"""Share of queries for absent things that must find nothing. Names of scenes are easier than what people type:
0.94 of the ones fitted makes 0.91 of theirs (tests/bench/reliability.py)."""


@dataclass(frozen=True)
class LabelledImages:
    """Queries against images. `positive` and `negative` are (queries, images); neither where nobody can tell."""

    texts: F32
    images: F32
    positive: Bool
    negative: Bool
    scenes: npt.NDArray[np.str_]
    words: F32
    """The vocabulary, (words, dim)."""

    def part(self, first: int) -> LabelledImages:
        """Every other query."""
        queries = slice(first, None, 2)
        return replace(
            self, texts=self.texts[queries], positive=self.positive[queries], negative=self.negative[queries]
        )


def labelled(encoder: Encoder, images: F32, rows: list[dict[str, object]]) -> LabelledImages:
    """images (n, dim) and their JSONL rows -> what they show."""
    scenes = np.array([str(row["label"]) for row in rows])
    captions = [" ".join(map(str, row["captions"])).lower() for row in rows]  # type: ignore[call-overload]
    labels = {scene: label_prompts().labels.get(scene, (scene,)) for scene in np.unique(scenes)}
    names = sorted({name for group in labels.values() for name in group})
    positive = np.stack(
        [np.isin(scenes, [scene for scene in labels if name in labels[scene]]) for name in names]
    )
    named = np.stack(
        [[all(word in caption for word in _stems(name)) for caption in captions] for name in names]
    )
    texts = embed_english(encoder, [*names, *ABSENT_THINGS])
    none = np.zeros((len(ABSENT_THINGS), len(rows)), dtype=bool)
    positive, negative = np.concatenate([positive, none]), np.concatenate([~positive & ~named, ~none])
    return LabelledImages(texts, images, positive, negative, scenes, vocabulary_vectors(encoder))


def labelled_file(encoder: Encoder, path: Path) -> LabelledImages:
    """What models/evaluation/labelled.py wrote, and queries for what no image shows."""
    with np.load(path, allow_pickle=False) as stored:
        images, scenes = stored["images"].astype(np.float32), stored["scenes"]
        texts = embed_english(encoder, [*map(str, stored["queries"]), *ABSENT_THINGS])
        none = np.zeros((len(ABSENT_THINGS), len(images)), dtype=bool)
        positive = np.concatenate([stored["positive"], none])
        negative = np.concatenate([stored["negative"], ~none])
    return LabelledImages(texts, images, positive, negative, scenes, vocabulary_vectors(encoder))


def _stems(name: str) -> list[str]:
    small = {"a", "the", "with", "of", "and", "in", "by", "many"}
    return [word.rstrip("s") for word in re.findall("[a-z]+", name) if word not in small]


def simulated(data: LabelledImages, count: int, seed: int) -> Iterator[tuple[npt.NDArray[np.intp], F32]]:
    """`count` indexes: which images (n,), and their vectors (n, dim)."""
    rng = np.random.default_rng(seed)
    scenes = np.unique(data.scenes)
    for _ in range(count):
        chosen = rng.choice(scenes, rng.integers(1, len(scenes) + 1), replace=False)
        share = rng.dirichlet(np.full(len(chosen), rng.choice([0.3, 1, 3])))
        counts = rng.multinomial(int(np.exp(rng.uniform(np.log(5), np.log(1500)))), share)
        pools = [np.flatnonzero(data.scenes == scene) for scene in chosen]
        rows = np.concatenate([rng.choice(pool, n) for pool, n in zip(pools, counts, strict=True)])
        tiles, fade = data.images[rows], max(0.0, rng.uniform(-0.3, 0.5))
        yield rows, unit_length((1 - fade) * tiles + fade * tiles.mean(axis=0))


def fit(data: LabelledImages, count: int = 60, seed: int = 1) -> Calibration:
    """Logistic regression on (s, z), then the bias lowered until MIN_SILENT of the absent queries find nothing."""
    scores = data.images @ data.texts.T
    clear = clarity(data.images, data.words)
    start = Calibration(0, 0, 0, float(scores.mean()), float(scores.std(axis=0).mean()), clear)
    features, wanted = [], []
    for rows, tiles in simulated(data, count, seed):
        s = tiles @ data.texts.T
        mean, spread = usual(start, s)
        known = (data.positive | data.negative).T[rows]
        gained = s * gain(start, tiles, data.words)
        features.append(np.stack([gained, (s - mean) / spread], axis=-1)[known])
        wanted.append(data.positive.T[rows][known])
    x, y = np.concatenate(features).astype(np.float64), np.concatenate(wanted).astype(np.float64)
    weights = logistic(x, y)
    if weights[1] < 0:  # the background says nothing that the cosine does not
        weights = np.array([*logistic(x[:, :1], y), 0])[[0, 2, 1]]
    cosine, behind, bias = map(float, weights)
    found = replace(start, bias=bias, cosine=cosine, background=behind)
    while silent_share(found, data, count, seed) < MIN_SILENT:
        found = replace(found, bias=found.bias - 0.1)
    return found


def logistic(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n, k) and 0/1 (n,) -> weights (k + 1,), the bias last; Newton's method."""
    x = np.column_stack([x, np.ones(len(x))])
    weights = np.zeros(x.shape[1])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-x @ weights))
        curve = (x * (chance * (1 - chance))[:, None]).T @ x / len(y) + 1e-6 * np.eye(len(weights))
        weights -= np.linalg.solve(curve, x.T @ (chance - y) / len(y))
    return weights


def scored(
    model: Calibration, data: LabelledImages, count: int, seed: int
) -> Iterator[tuple[F32, Bool, Bool]]:
    """Scores (tiles, queries) of simulated indexes, with `positive` and `negative` of the same shape."""
    for rows, tiles in simulated(data, count, seed):
        fits = lines(model, data.texts, tiles, gain(model, tiles, data.words))
        slope, offset = np.array([(fit.slope, fit.offset) for fit in fits]).T
        logits = (tiles @ data.texts.T) * slope + offset
        yield percent(logits.astype(np.float32)), data.positive.T[rows], data.negative.T[rows]


def silent_share(model: Calibration, data: LabelledImages, count: int, seed: int) -> float:
    """Share of (index, absent query) pairs for which nothing reaches 50."""
    loudest = [
        np.asarray(scores.max(axis=0))[np.asarray(negative.all(axis=0))]
        for scores, _, negative in scored(model, data, count, seed)
    ]
    return float((np.concatenate(loudest) < 50).mean())


def figures(model: Calibration, data: LabelledImages, count: int = 60, seed: int = 2) -> dict[str, float]:
    """What the constants are worth: right above 80, silent on absent things, present things found."""
    right, strong, found = 0, 0, []
    for scores, positive, negative in scored(model, data, count, seed):
        sure = (scores >= 80) & (positive | negative)
        right, strong = right + int((sure & positive).sum()), strong + int(sure.sum())
        found.append(np.asarray(((scores >= 50) & positive).any(axis=0))[np.asarray(positive.any(axis=0))])
    return {
        "right_above_80": right / max(1, strong),
        "silent_when_absent": silent_share(model, data, count, seed),
        "found_when_present": float(np.concatenate(found).mean()),
    }


def embedded_rows(encoder: Encoder, embeddings: Path, table: Path) -> LabelledImages:
    """What `evaluate --save-embeddings` wrote, with the rows that it comes from."""
    with np.load(embeddings, allow_pickle=False) as stored:
        images, names = stored["images"].astype(np.float32), stored["image_names"]
    rows = {Path(row["image"]).stem: row for row in map(json.loads, table.read_text("utf-8").splitlines())}
    return labelled(encoder, images, [rows[Path(str(name)).stem] for name in names])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="fitting", description="Fit a model's score calibration.")
    parser.add_argument("model")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--embeddings", type=Path, help="what evaluate --save-embeddings wrote")
    source.add_argument("--labelled", type=Path, help="what models.evaluation.labelled wrote")
    parser.add_argument("--data", type=Path, help="the JSONL that --embeddings come from")
    args = parser.parse_args()
    if args.embeddings and not args.data:
        parser.error("--embeddings needs --data")
    encoder = registry.load(args.model, "cpu")
    if args.labelled:
        data = labelled_file(encoder, args.labelled)
    else:
        data = embedded_rows(encoder, args.embeddings, args.data)
    found = fit(data.part(0))
    print(f"[{args.model}.calibration]")
    print("# " + ", ".join(f"{name} {value:.3f}" for name, value in figures(found, data.part(1)).items()))
    print(f'fingerprint = "{encoder.fingerprint}"  # pragma: allowlist secret')
    for name, value in asdict(found).items():
        print(f"{name} = {value:.4f}")


if __name__ == "__main__":
    main()
