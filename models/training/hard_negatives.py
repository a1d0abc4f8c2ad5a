"""Hard negative captions: one word of a caption made wrong, "two white planes" -> "two red planes".

In a batch of captions drawn at random, scenes tell nearly all pairs apart, so that an encoder can ignore counts,
colours and relations. A text that contradicts one word of an image's own caption makes it attend to them
(Yuksekgonul et al. 2023 shuffle words instead). Which meanings exclude each other stands in label_prompts.toml; of
several wrong words, one that training texts use before the same next word is likelier, so that the text alone does
not give it away."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from rs_text_search_plugin.models.label_prompts import label_prompts

UNSEEN_WEIGHT = 0.1
"""Weight of a wrong word that never stands before the next one in the training texts."""


class HardNegatives:
    """Makes hard negatives that are as likely as the training texts."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.alternatives: dict[str, list[str]] = {}
        for word, others in _exclusions():
            self.alternatives.setdefault(word, []).extend(others)
        longest_first = sorted(self.alternatives, key=len, reverse=True)
        self.pattern = re.compile(r"\b(" + "|".join(map(re.escape, longest_first)) + r")\b")
        self.bigrams = Counter(pair for text in texts for pair in _bigrams(text))

    def negative(self, text: str, rng: np.random.Generator) -> str:
        """The text with one word made wrong; "" when it has none that can be."""
        lower = text.lower()
        found = list(self.pattern.finditer(lower))
        if not found:
            return ""
        word = found[int(rng.integers(len(found)))]
        choices = self.alternatives[word.group()]
        weights = self._weights(choices, lower[word.end() :])
        choice = choices[int(rng.choice(len(choices), p=weights / weights.sum()))]
        return lower[: word.start()] + choice + lower[word.end() :]

    def _weights(self, choices: list[str], rest: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        following = next(iter(_words(rest)), "")
        return np.array(
            [self.bigrams[choice.split()[-1], following] ** 0.5 + UNSEEN_WEIGHT for choice in choices]
        )


def _exclusions() -> Iterator[tuple[str, list[str]]]:
    """Each way to say a meaning, and the ways to say those that it excludes."""
    for group in label_prompts().exclusive_groups:
        for meaning in group:
            others = [word for other in group if other is not meaning for word in other]
            yield from ((word, others) for word in meaning)


def _bigrams(text: str) -> Iterable[tuple[str, str]]:
    found = _words(text.lower())
    return zip(found, found[1:], strict=False)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text)
