"""The words that models here know, for telling a rare word from a mistyped one."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from safetensors import SafetensorError, safe_open

from .label_prompts import phrases


@cache
def taught_words() -> frozenset[str]:
    """Every word of phrases.toml: names of scenes, and things on land."""
    source = phrases()
    names = (name for group in source.labels.values() for name in group)
    texts = " ".join([*names, *source.nouns, *source.attributes])
    return frozenset(re.findall(r"[a-z]+", texts.lower()))


@cache
def read_words() -> frozenset[str]:
    """Common English words: those that the default model reads whole instead of in pieces. Empty without it."""
    path = resources.files(__package__).joinpath("weights", "compact.safetensors")
    try:
        with safe_open(str(path), "np") as file:
            pieces = (file.metadata() or {}).get("vocabulary", "").split("\n")
    except (OSError, SafetensorError):  # loading the model itself will say what is wrong
        return frozenset()
    return frozenset(piece for piece in pieces if piece.isalpha())
