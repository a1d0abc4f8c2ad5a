"""How well an encoder retrieves and classifies: the figures of the model cards.

A model with a fusion encoder lets it order the best candidates of each query before it is judged, as a search
does; with `rerank` any model is judged after that of another, after GaLR's multivariate rerank, which needs all queries
at once, or as it is.
Retrieval is the field's protocol for RSICD, RSITMD and UCM-captions (Yuan et al. 2022): every image against
every caption of a split. Image to text counts the best of an image's own captions, text to image its one
image; R@K in percent for K = 1, 5, 10; mR is the mean of the six. Ties count against the model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rs_text_search_plugin.models.checkpoint import name_of
from rs_text_search_plugin.models.inference.encoder import fuses, likeness
from rs_text_search_plugin.models.inference.fusion_reranker import filtered, open_scores
from rs_text_search_plugin.models.label_prompts import phrases
from rs_text_search_plugin.models.registry import entries, load, weights_of
from rs_text_search_plugin.models.training.datasets import Dataset, Row, open_dataset, pixels

from rs_text_search_plugin.contracts.arrays import F32, I64
from rs_text_search_plugin.contracts.errors import ModelError
from rs_text_search_plugin.contracts.protocols import Encoder

from .multivariate_rerank import multivariate_rerank

DEPTHS = (1, 5, 10)
ZEROSHOT_TEMPLATES = ("a satellite image of {}", "an aerial photo of {}", "{}")
BATCH = 64


@dataclass(frozen=True)
class Rerank:
    """What orders the best candidates anew."""

    how: str = "own"
    """`own`: the model's fusion encoder where it has one; `none`; `multivariate`; or a model (name or file) with a
    fusion encoder."""
    candidates: int = 32
    mix: float | None = None
    """Weight of the first stage's likeness beside the fusion encoder's logit; None: the registry's."""


OWN = Rerank()


def evaluate(  # noqa: PLR0913 - the command line's options
    model: str, data: str, *, split: str = "test", task: str = "retrieval", rerank: Rerank = OWN,
    save_embeddings: str | None = None, device: str = "auto",
) -> dict[str, Any]:  # fmt: skip
    """Figures of a registered model or a checkpoint file on one dataset (`JSONL:IMAGES`, see datasets.py).

    `save_embeddings` takes the unit vectors `images` (n, dim) and `texts` (m, dim) with `image_names` (n,)
    and `captions` (m,), row for row, to an .npz file. Raises ModelError."""
    encoder = load(model, device)
    dataset = open_dataset(data)
    rows = dataset.split(split)
    about = {
        "model": model,
        "fingerprint": encoder.fingerprint,
        "data": dataset.name,
        "split": split,
        "task": task,
    }
    if rerank.how == "own":
        rerank = replace(rerank, how=model if fuses(encoder) else "none")
    if task == "retrieval":
        return {**about, **_retrieval(encoder, dataset, rows, save_embeddings, rerank)}
    if task == "zeroshot":
        return {**about, **_zeroshot(encoder, dataset, rows, save_embeddings)}
    raise ModelError(f"There is no task {task!r}.", "Choose retrieval or zeroshot.")


def recalls(images: F32, texts: F32, owners: I64) -> dict[str, float]:
    """images (n, dim), texts (m, dim) and the image each text belongs to (m,) -> R@K both ways and mR,
    percent."""
    likeness = images @ texts.T  # (n, m)
    return recalls_of(likeness, likeness.T, owners)


def recalls_of(by_image: F32, by_text: F32, owners: I64) -> dict[str, float]:
    """The same for orders that differ by direction, as after a rerank: by_image (n, m) orders texts for each
    image, by_text (m, n) images for each text."""
    own = by_text[np.arange(len(owners)), owners]
    text_ranks = (~(by_text < own[:, None])).sum(
        1
    )  # its own image is among those counted, and so is no number
    image_ranks = np.array([_image_rank(row, owners == i) for i, row in enumerate(by_image)])
    named = {"i2t": image_ranks, "t2i": text_ranks}
    found = {f"{way}_r{k}": 100 * float((ranks <= k).mean()) for way, ranks in named.items() for k in DEPTHS}
    return {**found, "mr": float(np.mean(list(found.values())))}


def _image_rank(row: F32, mine: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    best = row[mine].max()
    return int((~(row[~mine] < best)).sum()) + 1


def _retrieval(
    encoder: Encoder, dataset: Dataset, rows: Sequence[Row], file: str | None, rerank: Rerank
) -> dict[str, Any]:
    rows = [row for row in rows if row.captions]
    if not rows:
        raise ModelError(
            f"{dataset.name} has no captions in this split.", "Use --task zeroshot for labelled images."
        )
    captions = [caption for row in rows for caption in row.captions]
    owners = np.repeat(np.arange(len(rows)), [len(row.captions) for row in rows])
    images, texts = embed_images(encoder, dataset, rows), embed_texts(encoder, captions)
    _save(file, rows, images, captions, texts)
    matched = likeness(encoder, images, texts)
    plain, first = recalls(images, texts, owners), recalls_of(matched, matched.T, owners)
    found: dict[str, Any] = {"images": len(rows), "captions": len(captions), "cosine_mr": plain["mr"]}
    if rerank.how == "none":
        return {**found, **first}
    found |= {"rerank": rerank.how, "first_mr": first["mr"]}
    if rerank.how == "multivariate":
        orders = multivariate_rerank(matched), multivariate_rerank(matched.T)
        return {**found, **recalls_of(*orders, owners)}
    return {**found, **_fused(rerank, matched, dataset, rows, captions, owners)}


def _fused(
    rerank: Rerank, likeness: F32, dataset: Dataset, rows: Sequence[Row], captions: list[str], owners: I64
) -> dict[str, Any]:
    """Both directions after a fusion encoder, and what a query costs."""
    tiles = (pixels(dataset.images.read(row.image)) for row in rows)
    scores = open_scores(weights_of(rerank.how), tiles, captions)
    known = entries()[name_of(scores.system)]["rerank"]["cosine"]
    mix = known if rerank.mix is None else rerank.mix
    began = time.monotonic()
    by_image = filtered(likeness, scores, rerank.candidates, mix)
    by_text = filtered(likeness.T, scores.by_text, rerank.candidates, mix)
    spent = 1000 * (time.monotonic() - began) / sum(likeness.shape)
    return {
        "candidates": rerank.candidates,
        "mix": mix,
        "ms_per_query": round(spent, 2),
        **recalls_of(by_image, by_text, owners),
    }


def _zeroshot(encoder: Encoder, dataset: Dataset, rows: Sequence[Row], file: str | None) -> dict[str, Any]:
    labels = sorted({row.label for row in rows})
    names = [phrases().labels.get(label, (label.replace("_", " "),))[0] for label in labels]
    prompts = [template.format(name) for name in names for template in ZEROSHOT_TEMPLATES]
    images, texts = embed_images(encoder, dataset, rows), embed_texts(encoder, prompts)
    _save(file, rows, images, prompts, texts)
    classes = texts.reshape(len(labels), len(ZEROSHOT_TEMPLATES), -1).sum(1)  # (classes, dim)
    likeness = images @ (classes / np.linalg.norm(classes, axis=1, keepdims=True)).T
    truth = np.array([labels.index(row.label) for row in rows])
    ranks = (likeness >= likeness[np.arange(len(rows)), truth][:, None]).sum(1)
    tops = {f"top{k}": 100 * float((ranks <= k).mean()) for k in (1, 3)}
    return {"images": len(rows), "labels": len(labels), **tops}


def embed_images(encoder: Encoder, dataset: Dataset, rows: Sequence[Row]) -> F32:
    """Unit vectors (n, dim) of the rows' pictures; neighbours of one size go through together."""
    found = []
    tiles = [pixels(dataset.images.read(row.image)) for row in rows[:BATCH]]
    for start in range(0, len(rows), BATCH):
        if start:
            tiles = [pixels(dataset.images.read(row.image)) for row in rows[start : start + BATCH]]
        if len({tile.shape for tile in tiles}) == 1:
            found.append(encoder.images(np.stack(tiles)))
        else:
            found.extend(encoder.images(tile[None]) for tile in tiles)
    return np.concatenate(found)


def embed_texts(encoder: Encoder, texts: Sequence[str]) -> F32:
    """Unit vectors (m, dim); every distinct text is encoded once."""
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    vectors = np.concatenate([encoder.texts(distinct[i : i + BATCH]) for i in range(0, len(distinct), BATCH)])
    where = {text: number for number, text in enumerate(distinct)}
    return vectors[[where[text] for text in texts]]


def _save(file: str | None, rows: Sequence[Row], images: F32, captions: Sequence[str], texts: F32) -> None:
    if file is not None:
        names = np.array([row.image for row in rows])
        with Path(file).open("wb") as target:
            np.savez(target, images=images, texts=texts, image_names=names, captions=np.array(captions))
