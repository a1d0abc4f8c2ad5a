"""The frames that a text is put to an encoder in: resources/prompts.toml."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import tomllib

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.protocols import Encoder
from rs_text_search_plugin.engine.vectors import unit_length

SENTENCE_WORDS = 6
"""From so many words on, a text with a verb is taken as a sentence."""
VERBS = frozenset(
    {"is", "are", "was", "has", "have", "there", "stands", "lies", "runs", "crosses", "surrounds"}
)


@dataclass(frozen=True)
class Prompts:
    """The frames of resources/prompts.toml."""

    templates: tuple[str, ...]
    sentence: str


@cache
def prompts() -> Prompts:
    """Read once from the package."""
    text = files("rs_text_search_plugin.resources").joinpath("prompts.toml").read_text("utf-8")
    raw = tomllib.loads(text)
    return Prompts(tuple(raw["templates"]), raw["sentence"])


def tidy(text: str) -> str:
    """One line, single blanks, no closing full stop, at most 500 characters."""
    return " ".join(text.split()).rstrip(". ")[:500]


def is_sentence(text: str) -> bool:
    """Whether a text stands on its own instead of naming a thing."""
    found = re.findall(r"\w+", text.lower())
    return len(found) >= SENTENCE_WORDS and not VERBS.isdisjoint(found)


def framed(text: str) -> list[str]:
    """A text in the frames it is embedded in."""
    text = tidy(text)
    if is_sentence(text):
        return [text, prompts().sentence.format(text)]
    return [template.format(text) for template in prompts().templates]


def phrases(encoder: Encoder, texts: list[str]) -> F32:
    """n texts -> (n, dim) unit length: averaged over their frames."""
    frames = [framed(text) for text in texts]
    vectors = encoder.texts([frame for group in frames for frame in group])
    ends = np.cumsum([len(group) for group in frames])
    return unit_length(np.stack([part.mean(axis=0) for part in np.split(vectors, ends[:-1])]))
