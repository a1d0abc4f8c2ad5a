"""Phrases -> vectors of an encoder, and those of the vocabulary, which help phrases that are among its entries."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.search.language import sentences
from rs_text_search_plugin.engine.search.language.cache import kept
from rs_text_search_plugin.engine.search.vocabulary import source, words
from rs_text_search_plugin.engine.vectors import unit_length
from rs_text_search_plugin.models.inference.language_adapter import adapter_of

from .parse import BY_BOTH, BY_MEANING, Phrase
from .prompts import phrases

ENTRY_SHARE = 0.5
"""Say of the vocabulary in a query that is one of its entries, against the typed words' 1."""


def embed(encoder: Encoder, asked: Sequence[Phrase]) -> dict[Phrase, F32]:
    """Every phrase's query vector (dim,), unit length."""
    read = [phrase for phrase in asked if phrase.route != BY_MEANING]
    meant = [phrase for phrase in asked if phrase.route in {BY_MEANING, BY_BOTH}]
    found = dict(zip(read, embed_english(encoder, [phrase.english for phrase in read]), strict=True))
    for phrase, vector in zip(meant, embed_by_meaning(encoder, [p.typed for p in meant]), strict=True):
        found[phrase] = unit_length(found[phrase] + vector) if phrase in found else vector
    return found


def embed_english(encoder: Encoder, texts: list[str]) -> F32:
    """n phrases -> (n, dim) unit length. One that is an entry of the vocabulary, or a synonym of one, is helped by
    the entry's other words: an encoder knows some of them better than others (query expansion by thesaurus).
    """
    if not texts:
        return np.zeros((0, encoder.dim), dtype=np.float32)
    texts = [names_asked_for().get(_bare(text), text) for text in texts]
    found = phrases(encoder, texts)
    rows = [entries().get(_bare(text)) for text in texts]
    matching = [number for number, row in enumerate(rows) if row is not None]
    if matching:
        own = vocabulary_vectors(encoder)[[row for row in rows if row is not None]]
        found[matching] = unit_length(found[matching] + ENTRY_SHARE * own)
    return found


def embed_by_meaning(encoder: Encoder, texts: list[str]) -> F32:
    """n phrases of any language -> (n, dim) unit length: by the encoder's language adapter, or where it has none by
    the nearest known English phrases. Raises ModelError when the sentence encoder is not installed."""
    if not texts:
        return np.zeros((0, encoder.dim), dtype=np.float32)
    adapter = adapter_of(encoder)
    if adapter is not None:
        return adapter(sentences.encode(texts))
    near, weights = sentences.nearest(texts)
    return unit_length(np.einsum("nk,nkd->nd", weights, _known_phrases(encoder)[near]))


def _known_phrases(encoder: Encoder) -> F32:
    known = sentences.known_phrases()
    recipe = _digest("\n".join(known).encode() + encoder.fingerprint.encode())
    return kept(f"phrases-{recipe}", (len(known), encoder.dim), lambda: embed_english(encoder, list(known)))


@cache
def entries() -> dict[str, int]:
    """Names and synonyms of the vocabulary, bare, and the row of their entry; a name goes before a synonym."""
    table = {_bare(synonym): row for row, word in enumerate(words()) for synonym in word.also}
    return table | {_bare(word.name): row for row, word in enumerate(words())}


@cache
def names_asked_for() -> dict[str, str]:
    """Bare words that mean an entry of the vocabulary, and its name."""
    return {_bare(asked): word.name for word in words() for asked in word.asked}


def _bare(text: str) -> str:
    """Lower-case words without articles and a plural s."""
    found = re.findall(r"[a-z]+", text.lower())
    return " ".join(word.removesuffix("s") for word in found if word not in {"a", "an", "the"})


def vocabulary_vectors(encoder: Encoder) -> F32:
    """(words, dim) unit length, row for row with `words()`; made once per encoder and kept on disk."""
    recipe = _digest(source() + encoder.fingerprint.encode())
    return kept(recipe, (len(words()), encoder.dim), lambda: _embed_vocabulary(encoder))


def _embed_vocabulary(encoder: Encoder) -> F32:
    """A word's vector lies halfway between its name, in all prompt frames, and its bare synonyms."""
    names = phrases(encoder, [word.name for word in words()])
    synonyms = encoder.texts([synonym for word in words() for synonym in word.also or (word.name,)])
    ends = np.cumsum([len(word.also) or 1 for word in words()])
    means = np.stack([unit_length(part.mean(axis=0)) for part in np.split(synonyms, ends[:-1])])
    return unit_length(names + unit_length(means))


def _digest(recipe: bytes) -> str:
    return hashlib.sha256(recipe).hexdigest()[:24]
