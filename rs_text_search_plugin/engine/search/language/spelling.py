"""Small repairs of mistyped query words.

Only a word that is in no list is touched, and only to become one of our own words for land seen from above: one slip
away, two from LONG letters on, with its first letter kept. A slip is a letter too many, too few or wrong, or two
neighbours swapped. Anything else stays as typed: a wrong guess is worse than none.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from rapidfuzz import process
from rapidfuzz.distance import OSA

from rs_text_search_plugin.engine.search.vocabulary import words as vocabulary_words
from rs_text_search_plugin.models.word_list import scene_words

SHORTEST, LONG = 4, 8
"""Letters from which on a word is repaired, and from which on by two slips."""
WORD = re.compile(r"[^\W\d_]+")
SMALL_WORDS = frozenset({"and", "are", "for", "from", "has", "not", "the", "with"})
LISTS = ("known_words.txt", "english_words.txt")


@dataclass(frozen=True)
class Lexicon:
    """`known` words are left alone; `wanted` ones may be the result of a repair, ours above the rest."""

    known: frozenset[str]
    ours: frozenset[str]
    wanted: frozenset[str]

    @cached_property
    def by_letter(self) -> dict[str, list[str]]:
        """The wanted words by their first letter."""
        return _by_letter(self.wanted)


@cache
def lexicon() -> Lexicon:
    """Ours are the vocabulary's; wanted also those of the training phrases; known also English at large."""
    ours = frozenset(
        word
        for entry in vocabulary_words()
        for word in split(" ".join((entry.name, *entry.also, *entry.asked)))
    )
    folder = files("rs_text_search_plugin.resources")
    others = frozenset(word for name in LISTS for word in split(folder.joinpath(name).read_text("utf-8")))
    wanted = ours | scene_words()
    return Lexicon(wanted | others, ours, wanted)


def split(text: str) -> list[str]:
    """Lower-case words."""
    return [found.lower() for found in WORD.findall(text)]


def repaired(text: str) -> str:
    """A text with its mistyped words replaced; the rest stays as it is."""
    return WORD.sub(lambda found: repair(found[0].lower()) or found[0], text)


@cache
def repair(word: str) -> str | None:
    """The word that was meant by a lower-case one; None when it is fine or nobody can tell."""
    if len(word) < SHORTEST or is_known(word):
        return None
    near = _near(word, lexicon().by_letter.get(word[0], ()))
    ours = lexicon().ours
    ranked = [(slips, other not in ours, set(word) != set(other), other) for other, slips in near]
    return min(ranked)[-1] if ranked else None


def nearest(word: str, wanted: Iterable[str]) -> str | None:
    """The wanted single word that a mistyped one comes nearest to; None when none is near enough."""
    if len(word) < SHORTEST:
        return None
    alike = [other for other in wanted if other[0] == word[0] and len(other) >= SHORTEST and " " not in other]
    return min(((slips, other) for other, slips in _near(word, alike)), default=(0, None))[1]


def _near(word: str, others: Iterable[str]) -> list[tuple[str, int]]:
    """Those of the words that are few enough slips away, and how many."""
    limit = 2 if len(word) >= LONG else 1
    scorer: Any = OSA.distance
    found = process.extract(word, others, scorer=scorer, score_cutoff=limit, limit=None)
    return [(other, int(slips)) for other, slips, _ in found]


def is_known(word: str) -> bool:
    """Whether it is a known word, a regular form of one, or two of them written as one."""
    known = lexicon().known
    halves = ((word[:cut], word[cut:]) for cut in range(3, len(word) - 2))
    return is_listed(word) or any({a, b} <= known and SMALL_WORDS.isdisjoint({a, b}) for a, b in halves)


def is_listed(word: str) -> bool:
    """Whether it is a known word or a regular form of one."""
    stems = {word, word.removesuffix("s"), re.sub("(?<=[hosxz])es$", "", word), re.sub("ies$", "y", word)}
    stems |= {stem for end in ("ed", "ing") if len(stem := word.removesuffix(end)) > SHORTEST}
    return not lexicon().known.isdisjoint(stems)


def is_begun(word: str) -> bool:
    """Whether a known word begins with it, as while somebody types."""
    known = _sorted_words()
    place = bisect_left(known, word)
    return place < len(known) and known[place].startswith(word)


@cache
def _sorted_words() -> list[str]:
    return sorted(lexicon().known)


def _by_letter(words: Iterable[str]) -> dict[str, list[str]]:
    table: dict[str, list[str]] = defaultdict(list)
    for word in sorted(words):
        table[word[0]].append(word)
    return dict(table)
