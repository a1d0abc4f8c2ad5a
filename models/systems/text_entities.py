"""Captions that say the same, merged into text entities: for MGRM-EL's text classifier (`mgrm_el.py`).

Two texts are one entity when nothing but case, accents and punctuation tells them apart, or when the cosine of
their TF-IDF vectors is above a threshold; and so is every chain of such pairs, that is, entities are connected
components.

Exact and quick without comparing everything with everything: read the words of a text from rare to common.
The first word two texts share is where their cosine starts to gather, so a cosine above theta needs that word
to lie where the rest of either text still has a norm of theta (the prefix filter of Bayardo, Ma and Srikant,
"Scaling up all pairs similarity search", WWW 2007). Only texts that share such a word are compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rs_text_search_plugin.models.layers.minilm import words

I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]
STRIP = 2048
"""Rows compared with all others of their block at a time: bounds the memory."""


class Weighed(NamedTuple):
    """TF-IDF of n texts, rows of unit length, the rarest word first."""

    words: I64
    """(n, longest) number of the word by rarity; where `values` is 0 there is none."""
    values: F32
    """(n, longest)."""


def merged(texts: Sequence[str], theta: float) -> I64:
    """n texts -> (n,) number of the entity, counted from 0 in order of appearance.

    `theta` is a cosine in 0-1; at 1 only texts with the same words in the same order are merged."""
    number: dict[str, int] = {}
    said = np.array([number.setdefault(normalised(text), len(number)) for text in texts], dtype=np.int64)
    if theta >= 1:
        return said
    pairs = list(near_same(weighed(list(number)), theta))
    left, right = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    return in_order(components(len(number), left, right)[said])


def normalised(text: str) -> str:
    """Lower-case words without accents and punctuation, one space apart."""
    return " ".join(word for word in words(text) if word.isalnum())


def weighed(texts: Sequence[str]) -> Weighed:
    """n texts of words one space apart -> their TF-IDF."""
    counts = [_counted(text.split()) for text in texts]
    frequency: dict[str, int] = {}
    for row in counts:
        for word in row:
            frequency[word] = frequency.get(word, 0) + 1
    rank = {word: n for n, word in enumerate(sorted(frequency, key=lambda word: (frequency[word], word)))}
    rarity = np.log((1 + len(texts)) / (1 + np.array(sorted(frequency.values())))) + 1  # smooth idf, > 0
    numbers = np.zeros((len(texts), max(map(len, counts), default=0)), dtype=np.int64)
    values = np.zeros(numbers.shape, dtype=np.float32)
    for target, row in enumerate(counts):
        found = sorted((rank[word], count) for word, count in row.items())
        numbers[target, : len(found)] = [word for word, _ in found]
        values[target, : len(found)] = [count * rarity[word] for word, count in found]
    norm = np.sqrt((values**2).sum(1, keepdims=True))
    return Weighed(numbers, values / np.maximum(norm, 1e-12))


def near_same(found: Weighed, theta: float) -> Iterator[tuple[I64, I64]]:
    """Rows (p,) and rows (p,) of every pair with a cosine above theta, some of them more than once."""
    tail = np.sqrt(np.cumsum(found.values[:, ::-1] ** 2, axis=1)[:, ::-1])  # (n, longest)
    row, place = np.nonzero((tail >= theta) & (found.values > 0))
    word = found.words[row, place]
    order = np.argsort(word, kind="stable")
    yield np.empty(0, np.int64), np.empty(0, np.int64)
    for block in np.split(row[order], np.flatnonzero(np.diff(word[order])) + 1):
        if len(block) > 1:
            yield from _compared(found, block, theta)


def components(count: int, left: I64, right: I64) -> I64:
    """Edges between `count` nodes -> (count,) the smallest node of each one's component."""
    root = np.arange(count)
    while True:
        one, other = root[left], root[right]
        if (one == other).all():
            return root
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while (root != root[root]).any():
            root = root[root]


def in_order(names: I64) -> I64:
    """Any numbers (n,) -> 0, 1, 2, ... in order of their first appearance, (n,)."""
    _, first, which = np.unique(names, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[which]


def _counted(row: Sequence[str]) -> dict[str, int]:
    return {word: row.count(word) for word in row}


def _compared(found: Weighed, block: I64, theta: float) -> Iterator[tuple[I64, I64]]:
    """Pairs among the rows of one block (b,)."""
    local, column = np.unique(found.words[block], return_inverse=True)
    column = column.reshape(len(block), -1)  # (b, longest)
    dense = np.zeros((len(block), len(local)), dtype=np.float32)
    np.add.at(dense, (np.arange(len(block))[:, None], column), found.values[block])  # absent words add 0
    for start in range(0, len(block), STRIP):
        one, other = np.nonzero(dense[start : start + STRIP] @ dense.T > theta)
        new = one + start < other
        yield block[one[new] + start], block[other[new]]
