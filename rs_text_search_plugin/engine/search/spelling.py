"""Small repairs of mistyped query words.

Only a word that is in no list is touched, and only to become one of our own words for land seen from above: one slip
away, two from LONG letters on, with its first letter kept. A slip is a letter too many, too few or wrong, or two
neighbours swapped (Damerau 1964). Anything else stays as typed: a wrong guess is worse than none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from rs_text_search_plugin.models.word_list import read_words, taught_words

from .vocabulary import words as vocabulary_words

SHORTEST, LONG = 4, 8
"""Letters from which on a word is repaired, and from which on by two slips."""
WORD = re.compile(r"[^\W\d_]+")
LITTLE_WORDS = frozenset({"and", "are", "for", "from", "has", "not", "the", "with"})


@dataclass(frozen=True)
class Lexicon:
    """`known` words are left alone; `wanted` ones may be the result of a repair, ours above the rest."""

    known: frozenset[str]
    ours: frozenset[str]
    wanted: frozenset[str]


@cache
def lexicon() -> Lexicon:
    """Ours are the vocabulary's; wanted also those of the training phrases; known also English at large."""
    ours = frozenset(
        word for entry in vocabulary_words() for word in split(" ".join((entry.name, *entry.also)))
    )
    others = files("rs_text_search_plugin.resources").joinpath("known_words.txt").read_text("utf-8")
    wanted = ours | taught_words()
    return Lexicon(wanted | read_words() | frozenset(split(others)), ours, wanted)


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
    limit = 2 if len(word) >= LONG else 1
    near = [
        (slips(word, other, limit), other not in lexicon().ours, set(word) != set(other), other)
        for other in lexicon().wanted
        if other[0] == word[0] and abs(len(word) - len(other)) <= limit
    ]
    best = min((entry for entry in near if entry[0] <= limit), default=None)
    return best[-1] if best else None


def is_known(word: str) -> bool:
    """Whether it is a known word, a regular form of one, or two of them written as one."""
    known = lexicon().known
    stems = {word, word.removesuffix("s"), re.sub("(?<=[hosxz])es$", "", word), re.sub("ies$", "y", word)}
    stems |= {stem for end in ("ed", "ing") if len(stem := word.removesuffix(end)) > SHORTEST}
    halves = ((word[:cut], word[cut:]) for cut in range(3, len(word) - 2))
    return not known.isdisjoint(stems) or any(
        {a, b} <= known and LITTLE_WORDS.isdisjoint({a, b}) for a, b in halves
    )


def slips(a: str, b: str, limit: int) -> int:
    """Optimal string alignment distance of two words, or limit + 1 when it is larger than `limit`."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        above, row = row, [i]
        for j, other in enumerate(b, start=1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before = above
    return min(row[-1], limit + 1)
