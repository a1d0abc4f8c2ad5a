"""What the steps of a setup ask of whoever drives them, and how they fail."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar, Union

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Command:
    """A program to run; `title` tells the person what for, "" for what is over in a moment."""

    title: str
    program: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """Something only the person can decide; answered with an Outcome that is ok for yes."""

    text: str


@dataclass(frozen=True)
class Outcome:
    """How a program ended, and what it wrote to stdout."""

    ok: bool
    output: str


Task = Union[Command, Question]
Steps = Generator[Task, Outcome, Answer]


class SetupError(Exception):
    """The environment cannot be made: what happened, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def require(outcome: Outcome, message: str, hint: str) -> None:
    """Raises SetupError for a program that failed."""
    if not outcome.ok:
        raise SetupError(message, hint)
