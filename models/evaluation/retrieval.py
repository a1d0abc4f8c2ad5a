"""How well a model retrieves and classifies: the figures of the model cards.

Retrieval is the field's protocol for RSICD, RSITMD and UCM-captions (Yuan et al. 2022): every image against
every caption of a split. Image to text counts the best of an image's own captions, text to image its one
image; R@K in percent for K = 1, 5, 10; mR is the mean of the six. Ties count against the model.

`mr` and the recalls are by the cosine, as a search uses it. Where the weight file holds hub centres, the same
figures with hub correction (hub_correction.py) stand under `with_hub_correction`. A model with a fusion encoder
reranks the best candidates of each query before it is judged, as a search does; with `rerank` any model is judged
after reranking by another, after GaLR's multivariate rerank, which needs all queries at once, or as it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rs_text_search_plugin.models.checkpoint import name_of
from rs_text_search_plugin.models.inference.encoder import has_fusion
from rs_text_search_plugin.models.inference.fusion_reranker import (
    PairScorer,
    open_pair_scorer,
    rerank_top_k,
)
from rs_text_search_plugin.models.label_prompts import label_prompts
from rs_text_search_plugin.models.registry import entries, load, weights_of
from rs_text_search_plugin.models.training.datasets import Dataset, Row, open_dataset, pixels

from rs_text_search_plugin.contracts.arrays import F32, I64
from rs_text_search_plugin.contracts.errors import ModelError
from rs_text_search_plugin.contracts.protocols import Encoder

from .hub_correction import read_hub_centres
from .multivariate_rerank import multivariate_rerank

DEPTHS = (1, 5, 10)
ZEROSHOT_TEMPLATES = ("a satellite image of {}", "an aerial photo of {}", "{}")
BATCH = 64
Figures = dict[str, Any]


@dataclass(frozen=True)
class Rerank:
    """What reranks the best candidates."""

    how: str = "own"
    """`own`: the model's fusion encoder where it has one; `none`; `multivariate`; or a model (name or file) with a
    fusion encoder."""
    candidates: int = 32
    mix: float | None = None
    """Weight of the first stage's similarity beside the fusion encoder's logit; None: the registry's."""


OWN = Rerank()


@dataclass(frozen=True)
class Split:
    """The captioned images of a split, all captions in order, and the image (m,) each caption belongs to."""

    dataset: Dataset
    rows: list[Row]
    captions: list[str]
    owners: I64


def evaluate(  # noqa: PLR0913 - the command line's options
    model: str, data: str, *, split: str = "test", task: str = "retrieval", rerank: Rerank = OWN,
    save_embeddings: str | None = None, device: str = "auto",
) -> Figures:  # fmt: skip
    """Figures of a registered model or a checkpoint file on one dataset (`JSONL:IMAGES`, see datasets.py).

    `save_embeddings` takes the unit vectors `images` (n, dim) and `texts` (m, dim) with `image_names` (n,)
    and `captions` (m,), row for row, to an .npz file. Raises ModelError."""
    if task not in ("retrieval", "zeroshot"):
        raise ModelError(f"There is no task {task!r}.", "Choose retrieval or zeroshot.")
    encoder, dataset = load(model, device), open_dataset(data)
    rows = dataset.split(split)
    about = {
        "model": model,
        "fingerprint": encoder.fingerprint,
        "data": dataset.name,
        "split": split,
        "task": task,
    }
    if task == "zeroshot":
        return {**about, **_zeroshot(encoder, dataset, rows, save_embeddings)}
    captioned = _captioned(dataset, rows)
    images, texts = embed_images(encoder, dataset, captioned.rows), embed_texts(encoder, captioned.captions)
    _save(save_embeddings, captioned.rows, images, captioned.captions, texts)
    if rerank.how == "own":
        rerank = replace(rerank, how=model if has_fusion(encoder) else "none")
    return {**about, **_retrieval(model, captioned, images, texts, rerank)}


def recalls(images: F32, texts: F32, owners: I64) -> dict[str, float]:
    """images (n, dim), texts (m, dim) and the image each text belongs to (m,) -> R@K both ways and mR,
    percent."""
    similarity = images @ texts.T  # (n, m)
    return recalls_from_scores(similarity, similarity.T, owners)


def recalls_from_scores(by_image: F32, by_text: F32, owners: I64) -> dict[str, float]:
    """The same for scores that differ by direction, as after a rerank: by_image (n, m) orders texts for each
    image, by_text (m, n) images for each text."""
    own = by_text[np.arange(len(owners)), owners]
    text_ranks = (~(by_text < own[:, None])).sum(1)  # counts its own image; NaN counts as better
    image_ranks = np.array([_image_rank(row, owners == i) for i, row in enumerate(by_image)])
    ranks = {"i2t": image_ranks, "t2i": text_ranks}
    found = {f"{way}_r{k}": 100 * float((rank <= k).mean()) for way, rank in ranks.items() for k in DEPTHS}
    return {**found, "mr": float(np.mean(list(found.values())))}


def _image_rank(row: F32, own: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    best = row[own].max()
    return int((~(row[~own] < best)).sum()) + 1


def _captioned(dataset: Dataset, rows: Sequence[Row]) -> Split:
    """Raises ModelError when no row has captions."""
    captioned = [row for row in rows if row.captions]
    if not captioned:
        hint = "Use --task zeroshot for labelled images."
        raise ModelError(f"{dataset.name} has no captions in this split.", hint)
    captions = [caption for row in captioned for caption in row.captions]
    owners = np.repeat(np.arange(len(captioned)), [len(row.captions) for row in captioned])
    return Split(dataset, captioned, captions, owners)


def _retrieval(model: str, split: Split, images: F32, texts: F32, rerank: Rerank) -> Figures:
    """By the cosine, and with hub correction where the model's file has centres."""
    centres = read_hub_centres(weights_of(model))
    scorer = _pair_scorer(split, rerank.how) if rerank.how not in ("none", "multivariate") else None
    cosine = images @ texts.T  # (n, m)
    counts = {"images": len(split.rows), "captions": len(split.captions)}
    found: Figures = {**counts, "cosine_mr": recalls(images, texts, split.owners)["mr"]}
    found |= _judged(cosine, split.owners, rerank, scorer)
    if centres is not None:
        corrected = centres.similarity(images, texts)
        found["with_hub_correction"] = _judged(corrected, split.owners, rerank, scorer)
    return found


def _judged(similarity: F32, owners: I64, rerank: Rerank, scorer: PairScorer | None) -> Figures:
    """Figures of similarities (n, m) after a rerank, or as they are."""
    first = recalls_from_scores(similarity, similarity.T, owners)
    if rerank.how == "none":
        return dict(first)
    found: Figures = {"rerank": rerank.how, "first_mr": first["mr"]}
    if scorer is not None:
        return {**found, **_fused(similarity, owners, rerank, scorer)}
    orders = multivariate_rerank(similarity), multivariate_rerank(similarity.T)
    return {**found, **recalls_from_scores(*orders, owners)}


def _pair_scorer(split: Split, model: str) -> PairScorer:
    tiles = (pixels(split.dataset.images.read(row.image)) for row in split.rows)
    return open_pair_scorer(weights_of(model), tiles, split.captions)


def _fused(similarity: F32, owners: I64, rerank: Rerank, scorer: PairScorer) -> Figures:
    """Both directions after a fusion encoder, and milliseconds a query."""
    known = entries()[name_of(scorer.system)]["rerank"]["cosine"]
    mix = known if rerank.mix is None else rerank.mix
    began = time.monotonic()
    by_image = rerank_top_k(similarity, scorer, rerank.candidates, mix)
    by_text = rerank_top_k(similarity.T, scorer.by_text, rerank.candidates, mix)
    spent = round(1000 * (time.monotonic() - began) / sum(similarity.shape), 2)
    about = {"candidates": rerank.candidates, "mix": mix, "ms_per_query": spent}
    return {**about, **recalls_from_scores(by_image, by_text, owners)}


def _zeroshot(encoder: Encoder, dataset: Dataset, rows: Sequence[Row], file: str | None) -> Figures:
    labels = sorted({row.label for row in rows})
    names = [label_prompts().labels.get(label, (label.replace("_", " "),))[0] for label in labels]
    prompts = [template.format(name) for name in names for template in ZEROSHOT_TEMPLATES]
    images, texts = embed_images(encoder, dataset, rows), embed_texts(encoder, prompts)
    _save(file, rows, images, prompts, texts)
    classes = texts.reshape(len(labels), len(ZEROSHOT_TEMPLATES), -1).sum(1)  # (classes, dim)
    similarity = images @ (classes / np.linalg.norm(classes, axis=1, keepdims=True)).T
    truth = np.array([labels.index(row.label) for row in rows])
    ranks = (similarity >= similarity[np.arange(len(rows)), truth][:, None]).sum(1)
    tops = {f"top{k}": 100 * float((ranks <= k).mean()) for k in (1, 3)}
    return {"images": len(rows), "labels": len(labels), **tops}


def embed_images(encoder: Encoder, dataset: Dataset, rows: Sequence[Row]) -> F32:
    """Unit vectors (n, dim) of the rows' images. Raises ModelError."""
    found: list[F32] = []
    for start in range(0, len(rows), BATCH):
        tiles = [pixels(dataset.images.read(row.image)) for row in rows[start : start + BATCH]]
        same_size = len({tile.shape for tile in tiles}) == 1
        batches = [np.stack(tiles)] if same_size else [tile[None] for tile in tiles]
        found.extend(map(encoder.images, batches))
    return np.concatenate(found)


def embed_texts(encoder: Encoder, texts: Sequence[str]) -> F32:
    """Unit vectors (m, dim); every distinct text is encoded once."""
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    vectors = np.concatenate([encoder.texts(distinct[i : i + BATCH]) for i in range(0, len(distinct), BATCH)])
    row_of = {text: number for number, text in enumerate(distinct)}
    return vectors[[row_of[text] for text in texts]]


def _save(file: str | None, rows: Sequence[Row], images: F32, captions: Sequence[str], texts: F32) -> None:
    if file is not None:
        names = np.array([row.image for row in rows])
        with Path(file).open("wb") as target:
            np.savez(target, images=images, texts=texts, image_names=names, captions=np.array(captions))
