"""The vocabulary's vectors for an encoder, kept in the user's cache."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.vectors import unit_length
from rs_text_search_plugin.models import files

from .query import phrases
from .vocabulary import source, words

ENTRY_SHARE = 0.5
"""Say of the vocabulary in a query that is one of its entries, against the typed words' 1."""
_known: dict[str, F32] = {}


def asked(encoder: Encoder, texts: list[str]) -> F32:
    """n queries -> (n, dim) unit length. One that is an entry of the vocabulary, or a synonym of one, is helped by
    the entry's other words: an encoder knows some of them better than others (query expansion by thesaurus).
    """
    found = phrases(encoder, texts)
    rows = [entries().get(_bare(text)) for text in texts]
    matching = [number for number, row in enumerate(rows) if row is not None]
    if matching:
        own = vectors(encoder)[[row for row in rows if row is not None]]
        found[matching] = unit_length(found[matching] + ENTRY_SHARE * own)
    return found


@cache
def entries() -> dict[str, int]:
    """Names and synonyms of the vocabulary, bare, and the row of their entry; a name goes before a synonym."""
    table = {_bare(synonym): row for row, word in enumerate(words()) for synonym in word.also}
    return table | {_bare(word.name): row for row, word in enumerate(words())}


def _bare(text: str) -> str:
    """Lower-case words without articles and a plural s."""
    found = re.findall(r"[a-z]+", text.lower())
    return " ".join(word.removesuffix("s") for word in found if word not in {"a", "an", "the"})


def vectors(encoder: Encoder) -> F32:
    """(words, dim) unit length, row for row with `words()`; made once per encoder and kept on disk."""
    recipe = hashlib.sha256(source() + encoder.fingerprint.encode()).hexdigest()[:24]
    if recipe not in _known:
        path = files.cache_folder("vocabulary") / f"{recipe}.npy"
        shape = (len(words()), encoder.dim)
        found = _read(path)
        if found is None or found.shape != shape:
            found = _embed(encoder)
            _keep(path, found)
        _known[recipe] = found
    return _known[recipe]


def _embed(encoder: Encoder) -> F32:
    """A word's vector lies halfway between its name, in all prompt frames, and its bare synonyms."""
    names = phrases(encoder, [word.name for word in words()])
    synonyms = encoder.texts([synonym for word in words() for synonym in word.also or (word.name,)])
    ends = np.cumsum([len(word.also) or 1 for word in words()])
    means = np.stack([unit_length(part.mean(axis=0)) for part in np.split(synonyms, ends[:-1])])
    return unit_length(names + unit_length(means))


def _read(path: Path) -> F32 | None:
    try:
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)
    except (OSError, ValueError, EOFError):  # absent or cut short: it is only a cache
        return None


def _keep(path: Path, found: F32) -> None:
    with suppress(OSError):  # a home that cannot be written: embed again next time
        files.make_private_folder(path.parent)
        with files.written_whole(path) as part:
            np.save(part, found)
