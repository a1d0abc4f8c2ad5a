"""Which language a query is in."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache

from . import spelling
from .dictionary import ENGLISH, LANGUAGES, dictionary, words_of
from .translation import compound, pieces_of

SCRIPTS = {
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "zh": re.compile(r"[\u3400-\u9fff]"),
    "ko": re.compile(r"[\uac00-\ud7af\u1100-\u11ff]"),
    "ru": re.compile(r"[\u0400-\u04ff]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
}
"""Scripts that tell the language; Japanese goes first, as it is written with Chinese characters too."""
NAMES = {
    ENGLISH: "English", "de": "German", "fr": "French", "es": "Spanish", "pt": "Portuguese", "it": "Italian",
    "nl": "Dutch", "pl": "Polish", "zh": "Chinese", "ja": "Japanese", "ko": "Korean", "ru": "Russian",
    "ar": "Arabic", "th": "Thai", "tr": "Turkish",
}  # fmt: skip
"""Languages that a query can be set to: those with a word list and those that the sentence encoder reads."""


def detect(text: str) -> str:
    """The code of a text's language.

    By its script, then by how many of its words English and the word lists know; English wins a tie. When nobody
    knows a word, by its letters, unless it may yet be English.
    """
    for code, script in SCRIPTS.items():
        if script.search(text):
            return code
    words = words_of(text)
    latin = [code for code in LANGUAGES if code not in SCRIPTS]
    english = sum(spelling.is_listed(word) and word not in _claimed() for word in words)
    if english == len(words):
        return ENGLISH
    known = {code: _known(code, words) for code in latin}
    most = max(known.values())
    if most > english:
        return max((code for code in latin if known[code] == most), key=lambda code: _fit(code, words))
    if english or any(map(_may_be_english, words)):
        return ENGLISH
    return max((ENGLISH, *latin), key=lambda code: _letters(words, code))


@cache
def _claimed() -> frozenset[str]:
    """English words that as a query mean another language."""
    return frozenset().union(*(dictionary(code).also_english for code in LANGUAGES))


def _fit(code: str, words: list[str]) -> tuple[int, float]:
    """How well a word list that knows the words explains them: by its usual words first, then by its letters."""
    usual = dictionary(code).usual
    return sum(" ".join(piece.words) in usual for piece in pieces_of(dictionary(code), words)), _letters(
        words, code
    )


def _may_be_english(word: str) -> bool:
    """Whether it is two English words in one, the beginning of one, or a typing slip of one."""
    return spelling.is_known(word) or spelling.is_begun(word) or spelling.repair(word) is not None


def _known(code: str, words: list[str]) -> int:
    """How many words of a text a word list knows, compounds among them."""
    source = dictionary(code)
    pieces = list(pieces_of(source, words))
    unknown = [piece.words[0] for piece in pieces if piece.kind == "unknown"]
    return len(words) - len(unknown) + sum(compound(source, word) is not None for word in unknown)


def _letters(words: list[str], code: str) -> float:
    """Log probability of a text's triples of letters in a language, as far as its word list shows them."""
    counts, total = _triples(code)
    found = [triple for word in words for triple in _cut(word)]
    return sum(math.log((counts[triple] + 0.2) / (total + 1000)) for triple in found)


@cache
def _triples(code: str) -> tuple[Counter[str], int]:
    if code == ENGLISH:
        words = set(spelling.lexicon().wanted)
    else:
        source = dictionary(code)
        words = {word for term in (*source.exact, *source.joining) for word in words_of(term)}
        words |= {word for term, _ in source.terms() for word in words_of(term)}
    counts = Counter(triple for word in words for triple in _cut(word))
    return counts, sum(counts.values())


def _cut(word: str) -> list[str]:
    padded = f" {word} "
    return [padded[start : start + 3] for start in range(len(padded) - 2)]
