"""What a batch of mixed training consists of."""

from __future__ import annotations

from dataclasses import dataclass

from rs_text_search_plugin.contracts.arrays import U8

from .things import Known


@dataclass(frozen=True)
class Text:
    """A text and what it is about."""

    text: str
    number: int = -1
    """Among all captions and names of scenes; -1 for one that was made up."""
    scene: int = -1
    """Number of the label whose name it is, -1 where it is none."""
    about: tuple[int, ...] = ()
    """Numbers of the things it names."""
    of_things: bool = False
    """It is about these things and nothing else."""


@dataclass(frozen=True)
class Example:
    """An image, its texts, and what is known of it."""

    image: U8
    """(side, side, 3) RGB."""
    texts: tuple[Text, ...]
    captions: frozenset[int]
    """Numbers of all its captions."""
    things: Known
    scenes: Known
    """(labels,)"""
    captioned: bool
    """Its captions describe all of it."""
