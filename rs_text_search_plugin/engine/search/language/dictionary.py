"""The word lists of resources/languages: what a word or phrase of another language is called in English."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import snowballstemmer
import tomllib

LANGUAGES = ("de", "fr", "es", "pt", "it", "nl", "pl", "zh")
"""ISO 639-1 codes; of two languages that know a query equally well the earlier one is taken."""
ENGLISH = "en"
NOUN_FIRST = frozenset({"fr", "es", "pt", "it"})
"""Languages whose qualities stand behind their noun."""
COMPOUNDING = frozenset({"de", "nl"})
"""Languages that write several nouns as one word."""
TERMS = ("vocabulary", "nouns", "qualities")
WORD = re.compile(r"[\u3400-\u9fff]|[^\W\d_\u3400-\u9fff]+")
"""A Chinese character or a word of any other script."""
SPELLINGS = str.maketrans({"ß": "ss", "ł": "l", "œ": "oe", "æ": "ae", "ø": "o"})


@dataclass(frozen=True)
class Dictionary:
    """One language. Keys are words as `words_of` gives them, joined by blanks, without accents."""

    code: str
    name: str
    raw: dict[str, Any]

    @cached_property
    def exact(self) -> dict[str, str]:
        """Term as it is written -> English; the first meaning listed wins."""
        return self._table(lambda words: fold(" ".join(words)))

    @cached_property
    def stemmed(self) -> dict[str, str]:
        """The same by stems, which finds plurals and cases."""
        return self._table(self.stem)

    @cached_property
    def joining(self) -> dict[str, str]:
        """Words that only join others -> English, empty for those left out."""
        listed = {**self.raw["joining"], "or": self.operators("or")}
        listed["and"] = [*listed.get("and", ()), *self.operators("and")]
        return {
            fold(" ".join(words_of(word))): english for english, words in listed.items() for word in words
        }

    @cached_property
    def longest(self) -> int:
        """Words in the longest term."""
        return max(key.count(" ") + 1 for key in (*self.exact, *self.joining))

    @cached_property
    def qualities(self) -> frozenset[str]:
        """English words that stand before their noun."""
        return frozenset(self.raw["qualities"])

    @cached_property
    def usual(self) -> frozenset[str]:
        """Terms listed first for their English."""
        return frozenset(" ".join(words_of(term)) for term, _ in self._listed(0))

    @property
    def also_english(self) -> frozenset[str]:
        """English words that as a query mean this language."""
        return frozenset(self.raw["also_english"])

    def operators(self, name: str) -> tuple[str, ...]:
        """How `without`, `and`, `or` and `rather than` are said."""
        return tuple(self.raw["operators"][name])

    def tag(self, name: str) -> str | None:
        """What an entry of the vocabulary is called."""
        listed = self.raw["vocabulary"].get(name)
        return str(listed[0]) if listed else None

    def lookup(self, words: Sequence[str]) -> str | None:
        """The English of a term of one or more words, None when it is not listed."""
        return self.exact.get(fold(" ".join(words))) or self.stemmed.get(self.stem(words))

    def stem(self, words: Sequence[str]) -> str:
        """Stems of words, joined by blanks."""
        return " ".join(_stem(self.name, word) for word in words)

    def terms(self) -> Iterator[tuple[str, str]]:
        """Every (term, English), as listed."""
        for part in TERMS:
            for english, listed in self.raw[part].items():
                yield from ((term, english) for term in listed)

    def _table(self, key: Any) -> dict[str, str]:
        table: dict[str, str] = {}
        for place in (0, 1):  # what is listed first means it more than a synonym does
            for term, english in self._listed(place):
                table.setdefault(key(words_of(term)), english)
        return table

    def _listed(self, place: int) -> Iterator[tuple[str, str]]:
        for part in TERMS:
            for english, listed in self.raw[part].items():
                yield from ((term, english) for term in (listed[:1] if place == 0 else listed[1:]))


@cache
def dictionary(code: str) -> Dictionary:
    """Read once from the package. Raises KeyError for a language without a word list."""
    if code not in LANGUAGES:
        raise KeyError(code)
    text = files("rs_text_search_plugin.resources").joinpath("languages", f"{code}.toml").read_text("utf-8")
    raw = tomllib.loads(text)
    return Dictionary(code, raw["name"], raw)


def tag_in(language: str, name: str) -> str:
    """What an entry of the vocabulary is called in a language such as de or pt_BR; its English name in others."""
    code = language[:2].lower()
    return (dictionary(code).tag(name) if code in LANGUAGES else None) or name


def words_of(text: str) -> list[str]:
    """Lower-case words; each Chinese character is one."""
    return [found.lower() for found in WORD.findall(unicodedata.normalize("NFC", text))]


@cache
def fold(text: str) -> str:
    """A text without accents."""
    plain = unicodedata.normalize("NFKD", text.translate(SPELLINGS))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


@cache
def _stem(language: str, word: str) -> str:
    return fold(_stemmer(language).stemWord(word)) if language != "Chinese" else word


@cache
def _stemmer(language: str) -> Any:
    return snowballstemmer.stemmer(language.lower())
