"""Texts of our own: label prompts (what people call the scenes that data sets label) and synthetic place
descriptions. Source: label_prompts.toml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import tomllib


@dataclass(frozen=True)
class LabelPrompts:
    """`labels`: label -> what people call it; `same_name`: label -> labels that share such a name, itself among
    them."""

    templates: tuple[str, ...]
    labels: dict[str, tuple[str, ...]]
    same_name: dict[str, frozenset[str]]
    exclusive_groups: tuple[tuple[tuple[str, ...], ...], ...]
    """Groups of meanings that exclude one another, each with the ways to say it."""
    nouns: tuple[str, ...]
    attributes: tuple[str, ...]
    relations: tuple[str, ...]


@cache
def label_prompts() -> LabelPrompts:
    """The texts in label_prompts.toml."""
    table: dict[str, Any] = tomllib.loads(
        resources.files(__package__).joinpath("label_prompts.toml").read_text("utf-8")
    )
    labels = {label: tuple(names) for label, names in table["labels"].items()}
    same_name = {a: frozenset(b for b in labels if set(labels[a]) & set(labels[b])) for a in labels}
    exclusive_groups = tuple(
        tuple(tuple(said.split("/")) for said in group) for group in table["exclusions"]["groups"]
    )
    words = table["words"]
    relations = tuple(words["relations"].replace("\n", " ").split("|"))
    nouns, attributes = tuple(words["nouns"].split()), tuple(words["attributes"].split())
    return LabelPrompts(
        tuple(table["templates"]), labels, same_name, exclusive_groups, nouns, attributes, relations
    )


def synthetic_descriptions(count: int, rng: np.random.Generator) -> list[str]:
    """Short place descriptions like `two white boats beside a pier`, for distillation."""
    source = label_prompts()
    texts = []
    for _ in range(count):
        first, second = (plural(_one(source.nouns, rng), rng) for _ in range(2))
        text = f"{_one(source.attributes, rng)} {first}" if rng.random() < 0.6 else first
        if rng.random() < 0.5:
            text = f"{text} {_one(source.relations, rng)} {second}"
        texts.append(_one(source.templates, rng).format(text))
    return texts


def plural(noun: str, rng: np.random.Generator) -> str:
    """The noun itself, or with equal chance its regular plural."""
    if rng.random() < 0.5 or noun.endswith("s"):
        return noun
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("ch", "sh", "x")) else "s")


def _one(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
