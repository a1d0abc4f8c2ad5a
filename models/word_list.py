"""The words of our own label prompts, for telling a rare word from a mistyped one."""

from __future__ import annotations

import re
from functools import cache

from .label_prompts import label_prompts


@cache
def scene_words() -> frozenset[str]:
    """Every word of label_prompts.toml: names of scenes, and things on land."""
    source = label_prompts()
    names = (name for group in source.labels.values() for name in group)
    texts = " ".join([*names, *source.nouns, *source.attributes])
    return frozenset(re.findall(r"[a-z]+", texts.lower()))
