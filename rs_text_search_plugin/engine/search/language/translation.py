"""A phrase of another language in English, word by word out of a dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .dictionary import COMPOUNDING, NOUN_FIRST, Dictionary, fold, words_of
from .spelling import nearest

LINKS = ("", "s", "n", "en", "es", "e")
"""Letters that may stand between the parts of a compound."""
SHORTEST_PART = 3
"""Letters that a part of a compound has at least."""


@dataclass(frozen=True)
class Piece:
    """Some words of a phrase and their English."""

    words: tuple[str, ...]
    english: str
    kind: str
    """term, quality, joining or unknown."""


@dataclass(frozen=True)
class Translation:
    """The English of what a dictionary knows, how many terms that are, and the words it does not know."""

    english: str
    terms: int
    unknown: tuple[str, ...]


def translate(source: Dictionary, text: str) -> Translation:
    """A phrase in English, word by word; words that are not known are left out."""
    pieces = [_closest(source, piece) for piece in pieces_of(source, words_of(text))]
    unknown = tuple(word for piece in pieces if piece.kind == "unknown" for word in piece.words)
    known = _without_stray_of([piece for piece in pieces if piece.english])
    ordered = _qualities_first(known) if source.code in NOUN_FIRST else [piece.english for piece in known]
    terms = sum(piece.kind in {"term", "quality"} for piece in pieces)
    return Translation(" ".join(ordered), terms, unknown)


def _without_stray_of(pieces: Sequence[Piece]) -> list[Piece]:
    """Without an "of" that follows no thing, as in "avec de grands immeubles"."""
    before = [None, *pieces]
    return [
        piece
        for piece, last in zip(pieces, before, strict=False)
        if piece.english != "of" or (last is not None and last.kind != "joining")
    ]


def pieces_of(source: Dictionary, words: Sequence[str]) -> Iterator[Piece]:
    """A phrase cut into the longest terms that the dictionary lists."""
    start = 0
    while start < len(words):
        piece = _longest(source, words[start : start + source.longest])
        yield piece
        start += len(piece.words)


def _longest(source: Dictionary, words: Sequence[str]) -> Piece:
    for size in range(len(words), 0, -1):
        some = tuple(words[:size])
        key = fold(" ".join(some))
        if key in source.joining and key not in source.exact:
            return Piece(some, source.joining[key], "joining")
        english = source.lookup(some)
        if english:
            return Piece(some, english, "quality" if english in source.qualities else "term")
    return Piece(tuple(words[:1]), "", "unknown")


def _closest(source: Dictionary, piece: Piece) -> Piece:
    """An unknown word as a compound of two known ones, or as a known one with a typing slip."""
    if piece.kind != "unknown":
        return piece
    (word,) = piece.words
    english = compound(source, word)
    if english is None:
        meant = nearest(fold(word), source.exact)
        english = source.exact[meant] if meant else None
    return Piece(piece.words, english, "term") if english else piece


def compound(source: Dictionary, word: str) -> str | None:
    """Öltank -> oil storage tanks; the longest last part counts, as it says what the thing is. None for other words."""
    if source.code not in COMPOUNDING:
        return None
    for cut in range(SHORTEST_PART, len(word) - SHORTEST_PART + 1):
        last = source.lookup([word[cut:]])
        first = _first_part(source, word[:cut]) if last else None
        if last and first:
            return f"{first} {last}"
    return None


def _first_part(source: Dictionary, word: str) -> str | None:
    stems = (word.removesuffix(link) for link in LINKS if word.endswith(link))
    found = (source.lookup([stem]) for stem in stems if len(stem) >= SHORTEST_PART)
    return next(filter(None, found), None)


def _qualities_first(pieces: Sequence[Piece]) -> list[str]:
    """`roofs red and flat of houses` -> `red flat house roofs`: English puts before a noun what tells more of it."""
    said: list[str] = []
    noun = -1
    for number, piece in enumerate(pieces):
        after = pieces[number + 1].kind if number + 1 < len(pieces) else ""
        before = pieces[number - 1] if number else None
        if noun >= 0 and (piece.kind == "quality" or _is_of(before, piece)):
            said.insert(noun, piece.english)
            noun += 1
        elif (
            noun >= 0
            and piece.english in {"of", "and"}
            and after == ("term" if piece.english == "of" else "quality")
        ):
            continue
        else:
            said.append(piece.english)
            noun = len(said) - 1 if piece.kind == "term" else -1
    return said


def _is_of(before: Piece | None, piece: Piece) -> bool:
    return before is not None and before.english == "of" and piece.kind == "term"
