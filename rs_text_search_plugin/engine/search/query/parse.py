"""A query taken apart: its language, its phrases in English, and how they are joined.

    A or B          any of them
    A AND B         all of them; AND in capitals, as "houses and trees" is one phrase
    A rather than B how much more it is A than B
    A without B     A and not B

The words of other languages are in resources/languages. `without` binds the loosest, AND the tightest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from rs_text_search_plugin.contracts.errors import QueryError
from rs_text_search_plugin.contracts.messages import Query
from rs_text_search_plugin.engine.search.language import sentences
from rs_text_search_plugin.engine.search.language.detection import NAMES, detect
from rs_text_search_plugin.engine.search.language.dictionary import ENGLISH, LANGUAGES, dictionary
from rs_text_search_plugin.engine.search.language.spelling import repaired
from rs_text_search_plugin.engine.search.language.translation import translate

from .prompts import tidy

OPERATORS = {
    "without": ("without", "with no", "but no", "but not"),
    "rather than": ("rather than",),
    "or": ("or",),
    "and": ("and",),
}
"""Operators and the English words for them, the loosest first."""
WITHOUT_BEFORE = re.compile(r"^(?P<wanted>.*?)没有(?P<unwanted>[^的]+)的(?P<rest>.+)$")
"""Chinese says "boats-lacking bridge" where others say "bridge without boats"."""
LISTED, BY_BOTH, BY_MEANING, AS_TYPED = "listed", "by both", "by meaning", "as typed"
"""How a phrase of another language became English: by the word list, by the sentence encoder, or not at all."""


@dataclass(frozen=True)
class Phrase:
    """One thing asked for: as typed, and the English that encoders and rerankers read."""

    typed: str
    english: str
    language: str = ENGLISH
    route: str = LISTED


Groups = tuple[tuple[Phrase, ...], ...]
"""Any of these groups, each of them with all of its phrases."""


@dataclass(frozen=True)
class ParsedQuery:
    """A query taken apart. All groups may be empty."""

    language: str
    wanted: Groups
    against: Groups
    unwanted: Groups

    def phrases(self) -> list[Phrase]:
        """Every phrase, once."""
        groups = (*self.wanted, *self.against, *self.unwanted)
        return list(dict.fromkeys(phrase for group in groups for phrase in group))

    def in_english(self, query: Query) -> Query:
        """The query with English phrases, which reads as this one does."""
        text = " rather than ".join(filter(None, map(_english, (self.wanted, self.against))))
        return replace(query, text=text, without=_english(self.unwanted), language=ENGLISH)

    def explanation(self) -> str:
        """How phrases of another language were understood; empty for English."""
        if self.language == ENGLISH or not self.phrases():
            return ""
        return f"{NAMES.get(self.language, self.language)}: {', '.join(map(_told, self.phrases()))}"


def parse(query: Query) -> ParsedQuery:
    """A query taken apart, typing slips repaired.

    Raises QueryError for an unknown language, ModelError when the sentence encoder is damaged.
    """
    text, without = tidy(query.text), tidy(query.without)
    language = _language(query)
    if not without:
        text, without = _without(text, language)
    wanted, against = (*_split(text, "rather than", language), "")[:2]
    return ParsedQuery(language, *(_groups(part, language) for part in (wanted, against, without)))


def _language(query: Query) -> str:
    """As it was set, else told from the words. Raises QueryError for one that is not known."""
    if query.language and query.language not in NAMES:
        known = ", ".join(NAMES)
        raise QueryError(f"There is no language “{query.language}”.", f"Choose one of: {known}; or none.")
    return query.language or detect(tidy(f"{query.text} {query.without}"))


def _without(text: str, language: str) -> tuple[str, str]:
    """What is wanted and what is not."""
    before = WITHOUT_BEFORE.match(text) if language == "zh" else None
    if before:
        return before["wanted"] + before["rest"], before["unwanted"]
    wanted, *unwanted = _split(text, "without", language, once=True)
    return wanted, "".join(unwanted)


def _groups(text: str, language: str) -> Groups:
    if not text:
        return ()
    return tuple(
        tuple(_phrase(part, language) for part in _split(choice, "and", language))
        for choice in _split(text, "or", language)
    )


def _split(text: str, operator: str, language: str, once: bool = False) -> list[str]:
    """The parts between an operator's words; `and` counts in capitals only, and not where all is in capitals."""
    if operator == "and" and text.isupper() and language != "zh":
        return [text]
    words = _words(operator, language)
    if operator == "and":
        words = [word.upper() for word in words]
    said = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    pattern = rf"\s*(?:{said})\s*" if language == "zh" else rf"\s+(?:{said})(?:\s+|(?<='))"
    flags = re.NOFLAG if operator == "and" else re.IGNORECASE
    parts = re.split(rf"(?<=\S){pattern}(?=\S)", text, maxsplit=int(once), flags=flags)
    return [part for part in parts if part.strip()] or [text]


def _words(operator: str, language: str) -> list[str]:
    own = dictionary(language).operators(operator) if language in LANGUAGES else ()
    return list(dict.fromkeys((*own, *OPERATORS[operator])))


def _phrase(text: str, language: str) -> Phrase:
    """One phrase in English."""
    if language == ENGLISH:
        return Phrase(text, repaired(text))
    found = translate(dictionary(language), text) if language in LANGUAGES else None
    english = found.english if found else ""
    if found and english and not found.unknown:
        return Phrase(text, english, language)
    if not sentences.is_installed():
        return Phrase(text, english or text, language, AS_TYPED)
    if found and found.terms and len(found.unknown) <= found.terms:
        return Phrase(text, english, language, BY_BOTH)
    return Phrase(text, sentences.closest_phrase(text), language, BY_MEANING)


def _english(groups: Groups) -> str:
    return " or ".join(" AND ".join(phrase.english for phrase in group) for group in groups)


def _told(phrase: Phrase) -> str:
    if phrase.route == LISTED:
        return f"“{phrase.typed}” as {phrase.english}"
    if phrase.route == BY_BOTH:
        return f"“{phrase.typed}” by its meaning and as {phrase.english}"
    if phrase.route == BY_MEANING:
        return f"“{phrase.typed}” by its meaning, near {phrase.english}"
    known = f"as {phrase.english}" if phrase.english != phrase.typed else "as typed"
    return f"“{phrase.typed}” {known}, as not all of it is in the word list; {sentences.HOW_TO_INSTALL}"
