"""Captions made wrong in one thing: "two white planes" -> "two red planes".

In a batch of captions drawn at random, scenes tell nearly all pairs apart, so that an encoder need not care for
counts, colours and relations. A text that denies one word of a picture's own caption makes it care (Yuksekgonul
et al. 2023 do so by shuffling words). What excludes what is written in phrases.toml; among several wrong words
one that training texts use before the same next word is likelier, so that the text alone does not give it away."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
from rs_text_search_plugin.models.label_prompts import phrases

RARE = 0.1
"""Weight of a wrong word that was never seen before the next one."""


class Contrasts:
    """Knows which words stand before which in the training texts."""

    def __init__(self, texts: Iterable[str]) -> None:
        groups = phrases().contrasts
        self.denied: dict[str, list[str]] = {}
        for group in groups:
            for meaning in group:
                others = [said for other in group if other is not meaning for said in other]
                for said in meaning:
                    self.denied.setdefault(said, []).extend(others)
        longest_first = sorted(self.denied, key=len, reverse=True)
        self.pattern = re.compile(r"\b(" + "|".join(map(re.escape, longest_first)) + r")\b")
        self.pairs = Counter(pair for text in texts for pair in _pairs(text))

    def wrong(self, text: str, rng: np.random.Generator) -> str:
        """The text with one thing denied; "" when it says nothing that can be."""
        lower = text.lower()
        found = list(self.pattern.finditer(lower))
        if not found:
            return ""
        said = found[int(rng.integers(len(found)))]
        following = next(iter(_words(lower[said.end() :])), "")
        choices = self.denied[said.group()]
        weight = np.array([self.pairs[choice.split()[-1], following] ** 0.5 + RARE for choice in choices])
        choice = choices[int(rng.choice(len(choices), p=weight / weight.sum()))]
        return lower[: said.start()] + choice + lower[said.end() :]


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    found = _words(text.lower())
    return zip(found, found[1:], strict=False)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text)
