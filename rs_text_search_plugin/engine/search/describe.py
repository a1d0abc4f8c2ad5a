"""What stands in a tile: ranked tags of our own vocabulary, and a sentence made of those that are sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, I64
from rs_text_search_plugin.contracts.messages import Description, Tag
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.contracts.scores import POSSIBLE, STRONG
from rs_text_search_plugin.engine.vectors import unit_length

from . import vocabulary
from .calibration import background, calibration, gain, lines, percent
from .language.dictionary import ENGLISH, tag_in
from .query.embedding import vocabulary_vectors
from .vocabulary import Word

if TYPE_CHECKING:
    from rs_text_search_plugin.engine.index.store import Index

LISTED_TAGS = 12
SENTENCE_TAGS = 4
ADDED_COSINE, ADDED_DEVIATIONS, SIMILAR_TILES = 0.15, 1.0, 100
"""A word adds to those before it when the part of it that they leave out has a cosine of
ADDED_COSINE with the tile, and lies ADDED_DEVIATIONS standard deviations above the SIMILAR_TILES tiles which the
first word fits best. Chosen on RSICD val."""
FUNCTION_WORDS = frozenset({"a", "an", "the", "of", "with", "in", "on", "by", "and"})


def describe(index: Index, tile_id: int, encoder: Encoder, language: str = ENGLISH) -> Description:
    """Tags, with labels in a language, and an English sentence for one tile.

    Raises IndexMismatch, and IndexStoreError when there is no such tile.
    """
    index.require(encoder.fingerprint)
    position = index.position(tile_id)
    chosen = discernible(index, encoder, int(index.windows[position][2]))
    texts = vocabulary_vectors(encoder)[chosen]
    scores = word_scores(index, encoder, texts, index.vectors[[position]])[0]
    order = np.argsort(-scores, kind="stable")
    words = [vocabulary.words()[i] for i in chosen]
    ranked = [words[i] for i in order]
    tile = np.asarray(index.vectors[position], dtype=np.float32)
    picked = informative(ranked, scores[order], texts[order], tile, background(index.vectors))
    text = sentence([ranked[i] for i in picked], scores[order][picked])
    tags = (_tag(words[i], float(scores[i]), language) for i in order[:LISTED_TAGS])
    corners = tuple((float(x), float(y)) for x, y in index.corners(np.array([position]))[0])
    sure = bool(len(scores) and scores[order[0]] >= STRONG)
    return Description(str(index.folder), tile_id, corners, text, sure, tuple(tags))


def _tag(word: Word, score: float, language: str) -> Tag:
    return Tag(word.name, word.group, round(score, 1), tag_in(language, word.name))


def discernible(index: Index, encoder: Encoder, width: int) -> I64:
    """Rows of the vocabulary that can be made out at the pixel size at which the encoder gets a tile.

    `width` is the tile's, px."""
    if index.meta.gsd_m is None:
        return np.arange(len(vocabulary.words()))
    shrunk = max(1.0, width / encoder.size)
    return np.flatnonzero([word.needs >= index.meta.gsd_m * shrunk for word in vocabulary.words()])


def word_scores(index: Index, encoder: Encoder, texts: F32, tiles: F32) -> F32:
    """(k, dim) words and (n, dim) tiles -> (n, k) calibrated scores."""
    model, behind = calibration(encoder), background(index.vectors)
    fits = lines(model, texts, behind, gain(model, behind, vocabulary_vectors(encoder)))
    raw = np.asarray(tiles, dtype=np.float32) @ texts.T
    slope, offset = np.array([(fit.slope, fit.offset) for fit in fits], dtype=np.float32).T
    return percent(raw * slope + offset)


def informative(words: list[Word], scores: F32, texts: F32, tile: F32, tiles: F32) -> list[int]:
    """Which possible words to name for a tile (dim,): the best one, then those that add something.

    words, scores (k,) and texts (k, dim) from the best down; tiles (n, dim) of the same index. This is orthogonal
    matching pursuit (Pati et al. 1993), as others read image vectors by words (Bhalla et al., SpLiCE, 2024).
    """
    most = SIMILAR_TILES if len(tiles) >= 2 * SIMILAR_TILES else 0
    similar = tiles[np.argsort(-(tiles @ texts[0]))[:most]]
    covered = np.zeros((0, texts.shape[1]), dtype=np.float32)
    picked: list[int] = []
    said: set[str] = set()
    for i in map(int, np.flatnonzero(scores >= POSSIBLE)):
        name = {
            part.rstrip("s") for part in words[i].name.split()
        } - FUNCTION_WORDS  # "car park" after "cars"
        left = unit_length(texts[i] - covered.T @ (covered @ texts[i]))
        if picked and not (said.isdisjoint(name) and _adds(left, tile, similar)):
            continue
        picked, said, covered = [*picked, i], said | name, np.concatenate([covered, left[None]])
        if len(picked) == SENTENCE_TAGS:
            break
    return picked


def _adds(left: F32, tile: F32, similar: F32) -> bool:
    usual = similar @ left
    least = float(usual.mean() + ADDED_DEVIATIONS * usual.std()) if len(usual) else 0.0
    return float(tile @ left) > max(ADDED_COSINE, least)


def sentence(words: list[Word], scores: F32) -> str:
    """One plain sentence from the words to name, the best first, with their scores, (k,)."""
    sure = [word.say for word, score in zip(words, scores, strict=True) if score >= STRONG]
    perhaps = [word.say for word, score in zip(words, scores, strict=True) if score < STRONG]
    if sure:
        text = listed(sure[:2], "and")
        text += f"; also {listed(sure[2:], 'and')}" if sure[2:] else ""
        text += f"; perhaps also {listed(perhaps[:1], 'or')}" if perhaps and len(sure) < 3 else ""
        return text[0].upper() + text[1:] + "."
    if perhaps:
        return f"Probably {listed(perhaps[:2], 'or')}, but I am not sure."
    return "I cannot tell what this is."


def listed(items: list[str], last: str) -> str:
    """a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"
