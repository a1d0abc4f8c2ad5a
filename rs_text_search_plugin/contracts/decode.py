"""JSON values into the contracts' dataclasses; nothing is used before its type and range were checked.

decode(SearchRequest, {"indexes": ["a"], "top": "9"}, "search")
ProtocolError: search: `top` must be a whole number, not a text.
"""

from __future__ import annotations

import dataclasses
import math
import types
from functools import cache
from typing import (
    Annotated,
    Any,
    Callable,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from .errors import ProtocolError
from .fields import MOST_COUNT, MOST_TEXT, Range
from .messages import Window

T = TypeVar("T")
Reader = Callable[[Any], Any]
"""A JSON value -> the same as its type has it. Raises: Mismatch."""
NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list"}
NAME_CUT = 60
"""Characters shown of a name that is not known."""


class Mismatch(Exception):
    """A value that its field cannot take: where it is and what is wrong."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path

    def inside(self, name: str) -> Mismatch:
        """The same, as the value of a field or of a list's item sees it from outside."""
        dot = "." if self.path and not self.path.startswith("[") else ""
        return Mismatch(self.reason, f"{name}{dot}{self.path}")


def decode(kind: type[T], value: Any, name: str) -> T:
    """A JSON object as a dataclass. `name` says in an error what was read. Raises: ProtocolError."""
    try:
        return cast(T, _reader(cast(Any, kind))(value))
    except Mismatch as found:
        where = f"`{found.path}` " if found.path else ""
        hint = "docs/protocol.md lists the fields of every operation."
        raise ProtocolError(f"{name}: {where}{found.reason}.", hint) from None


@cache
def _reader(kind: Any) -> Reader:
    """What reads values of a type; the type is one of those that the contracts use."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if dataclasses.is_dataclass(kind):
        return _object(cast(type, kind))
    return BY_ORIGIN[get_origin(kind)](get_args(kind))


def _object(kind: type) -> Reader:
    hints = get_type_hints(kind, include_extras=True)
    readers = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind)}
    missing = dataclasses.MISSING
    required = {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is missing and field.default_factory is missing
    }

    def read(value: Any) -> Any:
        _require(isinstance(value, dict), "an object", value)
        for name in sorted(value.keys() - readers.keys()):
            raise Mismatch("is not a field of it", name[:NAME_CUT])
        for name in sorted(required - value.keys()):
            raise Mismatch("is missing", name)
        return kind(**{name: _at(name, readers[name], item) for name, item in value.items()})

    return read


def _at(name: str, reader: Reader, value: Any) -> Any:
    try:
        return reader(value)
    except Mismatch as found:
        raise found.inside(name) from None


def _require(fits: bool, wanted: str, value: Any) -> None:
    if not fits:
        raise Mismatch(f"must be {wanted}, not {_named(value)}")


def _named(value: Any) -> str:
    return "null" if value is None else NAMES.get(type(value), "an object")


def _tuple(parts: tuple[Any, ...]) -> Reader:
    return _list(_reader(parts[0])) if parts[1:] == (...,) else _fixed([_reader(part) for part in parts])


def _list(item: Reader) -> Reader:
    def read(value: Any) -> Any:
        _require(isinstance(value, list), "a list", value)
        return tuple(_at(f"[{i}]", item, part) for i, part in enumerate(value))

    return read


def _fixed(items: list[Reader]) -> Reader:
    def read(value: Any) -> Any:
        _require(isinstance(value, list), f"a list of {len(items)}", value)
        if len(value) != len(items):
            raise Mismatch(f"must be a list of {len(items)}, not of {len(value)}")
        return tuple(_at(f"[{i}]", item, part) for i, (item, part) in enumerate(zip(items, value)))

    return read


def _bounded(parts: tuple[Any, Range]) -> Reader:
    reader, limits = _reader(parts[0]), parts[1]

    def read(value: Any) -> Any:
        found = reader(value)
        size = len(found) if isinstance(found, tuple) else found
        if not limits.least <= size <= limits.most:
            what = "hold" if isinstance(found, tuple) else "be"
            raise Mismatch(f"must {what} {limits.least:,.12g} to {limits.most:,.12g}, not {size:,.12g}")
        return found

    return read


def _choice(options: tuple[Any, ...]) -> Reader:
    def read(value: Any) -> Any:
        if value not in options:
            shown = f"“{value[:NAME_CUT]}”" if isinstance(value, str) else _named(value)
            raise Mismatch(f"must be one of {', '.join(options)}, not {shown}")
        return value

    return read


def _either(kinds: tuple[Any, ...]) -> Reader:
    """The first of the types that takes the value; with one type besides null, what that says."""
    readers = [_reader(kind) for kind in kinds if kind is not type(None)]
    optional = type(None) in kinds

    def read(value: Any) -> Any:
        if value is None and optional:
            return None
        if len(readers) == 1:
            return readers[0](value)
        for kind, reader in zip(kinds, readers):
            if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
                return reader(value)
        return _require(False, " or ".join(NAMES[kind] for kind in kinds), value)

    return read


def _mapping(value: Any) -> Any:
    _require(isinstance(value, dict), "an object", value)
    return value


def _whole(value: Any) -> int:
    _require(isinstance(value, int) and not isinstance(value, bool), "a whole number", value)
    if abs(value) > MOST_COUNT:
        raise Mismatch("is too large a number")
    return int(value)


def _number(value: Any) -> float:
    _require(isinstance(value, (int, float)) and not isinstance(value, bool), "a number", value)
    if abs(value) > 1e300 or math.isnan(value):
        raise Mismatch("must be a finite number")
    return float(value)


def _text(value: Any) -> str:
    _require(isinstance(value, str), "a text", value)
    if len(value) > MOST_TEXT:
        raise Mismatch(f"must have at most {MOST_TEXT:,} characters, not {len(value):,}")
    if "\0" in value:
        raise Mismatch("must not hold a null character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Mismatch("is not Unicode text: rename the file if it is a file's name") from None
    return str(value)


def _flag(value: Any) -> bool:
    _require(isinstance(value, bool), "true or false", value)
    return bool(value)


def _window(value: Any) -> Window:
    return Window(*_fixed([_whole] * 4)(value))


SIMPLE: dict[Any, Reader] = {
    bool: _flag,
    int: _whole,
    float: _number,
    str: _text,
    Window: _window,
    Any: lambda value: value,
}
BY_ORIGIN: dict[Any, Callable[[Any], Reader]] = {
    Annotated: _bounded,
    Literal: _choice,
    tuple: _tuple,
    Union: _either,
    getattr(types, "UnionType", Union): _either,
    dict: lambda parts: _mapping,
}
