"""Everything the engine raises on purpose.

SearchError                 message: what happened · hint: what to do
├── RasterError             cannot be opened, read or tiled
├── IndexStoreError         the index folder is missing, damaged, busy or made otherwise
│   └── IndexMismatch       made with another model, or the raster changed since
├── ModelError              unknown model, weights missing or damaged, device not to be had
├── QueryError              nothing to search for, or nothing to search in
├── ExportError             unknown format or a file that cannot be written
├── ProtocolError           a message without the fields, types or ranges of its operation
└── Cancelled               the user stopped it; what was done is kept

An error travels as a Failure: {"kind", "message", "hint", "details"}, where kind is the name of its class.
"""

from __future__ import annotations

from dataclasses import dataclass


class SearchError(Exception):
    """Base of all: `message` says what happened, `hint` what the person can do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RasterError(SearchError):
    """A raster cannot be opened, read or tiled."""


class IndexStoreError(SearchError):
    """An index folder is missing, damaged or in use."""


class IndexMismatch(IndexStoreError):
    """An index belongs to another model or to an older state of its raster."""


class ModelError(SearchError):
    """A model is unknown, its weights are missing or damaged, or its device is not there."""


class QueryError(SearchError):
    """There is nothing to search for, or nothing to search in."""


class ExportError(SearchError):
    """An export format is unknown or its file cannot be written."""


class ProtocolError(SearchError):
    """A message lacks a field, or has one of the wrong type, out of range or unknown."""


class Cancelled(SearchError):
    """The person stopped the operation; what was done is kept."""


@dataclass(frozen=True)
class Failure:
    """An error as it travels."""

    kind: str
    """The class's name; `Internal` for a bug."""
    message: str
    """What happened."""
    hint: str
    """What to do."""
    details: str = ""
    """The traceback of a bug or of the system's refusal; empty for everything the engine raises on purpose."""
