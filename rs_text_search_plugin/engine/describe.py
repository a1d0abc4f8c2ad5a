"""What stands in a tile: ranked tags of our own vocabulary, and a sentence made of those that are sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import vocabulary, word_vectors
from .calibration import POSSIBLE, STRONG, background, calibration, gain, lines, percent
from .types import F32, I64, Description, Encoder, Tag
from .vocabulary import Word

if TYPE_CHECKING:
    from .store import Index

TAGS = 12
IN_SENTENCE = 4
ALIKE = 0.7
"""Two words whose vectors are so close say the same; a sentence names the better one."""
LITTLE_WORDS = frozenset({"a", "an", "the", "of", "with", "in", "on", "by", "and"})


def describe(index: Index, tile_id: int, encoder: Encoder) -> Description:
    """Tags and a sentence for one tile. Raises IndexMismatch, IndexStoreError when there is no such tile."""
    index.require(encoder.fingerprint)
    position = index.position(tile_id)
    chosen = visible(index, encoder)
    texts = word_vectors.vectors(encoder)[chosen]
    scores = _scores(index, encoder, texts, index.vectors[[position]])[0]
    order = np.argsort(-scores, kind="stable")
    words = [vocabulary.words()[i] for i in chosen]
    text = sentence([words[i] for i in order], scores[order], texts[order])
    tags = (Tag(words[i].name, words[i].group, round(float(scores[i]), 1)) for i in order[:TAGS])
    corners = tuple((float(x), float(y)) for x, y in index.corners(np.array([position]))[0])
    sure = bool(len(scores) and scores[order[0]] >= STRONG)
    return Description(str(index.folder), tile_id, corners, text, sure, tuple(tags))


def visible(index: Index, encoder: Encoder) -> I64:
    """Rows of the vocabulary that can be made out at the pixel size the encoder got to see."""
    if index.meta.gsd_m is None:
        return np.arange(len(vocabulary.words()))
    shrunk = max(1.0, index.meta.lattice.tile_w / encoder.size)
    return np.flatnonzero([word.needs >= index.meta.gsd_m * shrunk for word in vocabulary.words()])


def _scores(index: Index, encoder: Encoder, texts: F32, tiles: F32) -> F32:
    """(k, dim) words and (n, dim) tiles -> (n, k) calibrated scores."""
    model, behind = calibration(encoder), background(index.vectors)
    fits = lines(model, texts, behind, gain(model, behind, word_vectors.vectors(encoder)))
    raw = np.asarray(tiles, dtype=np.float32) @ texts.T
    slope, offset = np.array([(fit.slope, fit.offset) for fit in fits], dtype=np.float32).T
    return percent(raw * slope + offset)


def sentence(words: list[Word], scores: F32, texts: F32) -> str:
    """One plain sentence from words ranked by score, (k,), with their vectors, (k, dim)."""
    picked = _distinct(words, scores, texts)
    sure = [words[i].say for i in picked if scores[i] >= STRONG]
    perhaps = [words[i].say for i in picked if scores[i] < STRONG]
    if sure:
        text = listed(sure[:2], "and")
        text += f"; also {listed(sure[2:], 'and')}" if sure[2:] else ""
        text += f"; perhaps also {listed(perhaps[:1], 'or')}" if perhaps and len(sure) < 3 else ""
        return text[0].upper() + text[1:] + "."
    if perhaps:
        return f"Probably {listed(perhaps[:2], 'or')}, but I am not sure."
    return "I cannot tell what this is."


def _distinct(words: list[Word], scores: F32, texts: F32) -> list[int]:
    """The first few possible words, each unlike those before it in meaning and in what it is called."""
    picked: list[int] = []
    said: set[str] = set()
    for i in np.flatnonzero(scores >= POSSIBLE):
        name = {part.rstrip("s") for part in words[i].name.split()} - LITTLE_WORDS  # "car park" after "cars"
        if said.isdisjoint(name) and all(float(texts[i] @ texts[j]) < ALIKE for j in picked):
            picked.append(int(i))
            said |= name
        if len(picked) == IN_SENTENCE:
            break
    return picked


def listed(items: list[str], last: str) -> str:
    """a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"
