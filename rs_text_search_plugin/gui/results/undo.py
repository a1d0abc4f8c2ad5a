"""Steps that can be undone: clear, keep, remove, examples."""

from __future__ import annotations

from typing import Any, Callable

try:
    from qgis.PyQt.QtGui import QUndoCommand, QUndoStack  # type: ignore[attr-defined]  # there since Qt 6
except ImportError:
    from qgis.PyQt.QtWidgets import QUndoCommand, QUndoStack

__all__ = ["QUndoStack", "Step"]

Act = Callable[[], Any]


class Step(QUndoCommand):  # type: ignore[misc]  # from either module
    """One thing the person did, by what does it and what takes it back."""

    def __init__(self, text: str, do: Act, take_back: Act, *, done: bool = False) -> None:
        super().__init__(text)
        self._do = do
        self._take_back = take_back
        self._done = done  # it has happened already: the stack's first `redo` is not to repeat it

    def redo(self) -> None:
        """Do it, or do it again."""
        if not self._done:
            self._do()
        self._done = False

    def undo(self) -> None:
        """Take it back."""
        self._take_back()
