"""Writes docs/protocol.md from the contracts: `python -m rs_text_search_plugin.contracts.protocol_page`.

A field's meaning is the text below it in the source, its limits are those that decode.py checks.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from .errors import Failure
from .fields import Range
from .messages import Progress, Window
from .operations import OPERATIONS, Operation

PAGE = Path("docs/protocol.md")
UNLIMITED = 1e12
"""A limit from here on only keeps nonsense out."""
PLAIN = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
    Window: "[x, y, width, height]",
}
HEAD = """# Engine protocol

<!-- Made from rs_text_search_plugin/contracts by `python -m rs_text_search_plugin.contracts.protocol_page`. -->

The plugin and the engine are two processes. They speak JSON, one object a line, over the engine's stdin and stdout
(`rs-text-search serve`). Logs and whatever a library prints go to stderr.

```
-> {"id": 7, "op": "search", "args": {...}}
<- {"id": 7, "event": "progress", "done": 512, "total": 4096, "rate": 140.2, "eta_s": 25.6, "message": "..."} any number
<- {"id": 7, "event": "heartbeat"}                                                            every 2 s while busy
<- {"id": 7, "result": {...}}      or      {"id": 7, "error": {"kind", "message", "hint", "details"}}   exactly one
```
Operations are worked on in three lanes side by side, each in order of arrival: long ones, slow ones and quick ones. So
a search is answered while an index is being made, from the parts that are done (`searched` says how much that is).
Some are answered at once. Answers may come in another order than their requests. When the input ends or the output is
closed, so does the engine. An `id` is a whole number or a text.

Every field is checked before it is used: a missing or unknown one, a wrong type or a number out of range is answered
with a `ProtocolError` that names the field. An error is not a dead engine.

Coordinates are in the raster's own CRS unless a `crs` goes with them; a CRS travels as WKT2 (an authority code such as
`EPSG:4326` is accepted in requests). `corners` are the 4 corners of a footprint, `[[x, y], ...]`, clockwise from the
upper left. A tile is named by `index` (its folder) and `id`; its footprint never has to be sent back.

A score is 0-100: how sure the engine is that the place shows what was asked, calibrated on held-out imagery so that 80
means the same on every raster (a model without constants of its own is judged by the index's own background, see
[decision 4](decisions/0004-scores.md)). From 80 a match is *strong*, from 50 *possible*; below 50 nothing is claimed.

**Reranking.** A second model reads the pixels of the 64 best matches of a query with words in it, together with those
words, and reorders them by what both models say (`engine/search/rerank.py`). `rank` and the order of `matches` change,
nothing else: a score stays with its tile, since scores are what is calibrated, and so scores no longer fall from rank
to rank. Histogram, regions, heat, `strong` and `possible` are those of the search. It works with any model and on
several indexes at once; matches whose raster cannot be read keep their ranks, and the verdict says so.
"""


def page() -> str:
    """The whole page."""
    named = sorted(_nested(), key=lambda kind: kind.__name__)
    parts = [HEAD, *(_operation(operation) for operation in OPERATIONS.values()), "## Objects\n"]
    return "\n".join([*parts, *(_object(kind) for kind in named)])


def _operation(operation: Operation) -> str:
    asked = _same_as(operation, "request") or _table(operation.request) or "Takes nothing.\n"
    answered = _same_as(operation, "answer") or _table(operation.answer)
    result = f"Result: {_doc(operation.answer)}\n" + (f"\n{answered}" if answered else "")
    head = f"## {operation.name}\n\n{_doc(operation.request)} Lane: {operation.lane}.\n"
    return f"{head}\n{asked}\n{result}"


def _same_as(operation: Operation, side: str) -> str:
    """Names an earlier operation with the same fields on that side; empty when there is none."""
    kind = getattr(operation, side)
    for earlier in OPERATIONS.values():
        if earlier is operation:
            return ""
        other = getattr(earlier, side)
        if dataclasses.fields(kind) and (other is kind or other is kind.__base__):
            return f"The same fields as of `{earlier.name}`.\n"
    return ""


def _object(kind: type) -> str:
    return f"### {kind.__name__}\n\n{_doc(kind)}\n\n{_table(kind)}"


def _doc(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split())


def _table(kind: type) -> str:
    """A dataclass's fields as a Markdown table; empty when it has none."""
    hints, texts = get_type_hints(kind, include_extras=True), _field_texts(kind)
    rows = [
        f"| `{field.name}` | {words(hints[field.name])}{_default(field)} | {texts.get(field.name, '')} |\n"
        for field in dataclasses.fields(kind)
    ]
    return "| field | value | meaning |\n|---|---|---|\n" + "".join(rows) if rows else ""


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "" if field.default_factory is dataclasses.MISSING else "; may be missing"
    shown = field.default if isinstance(field.default, str) else json.dumps(field.default)
    return f"; {shown or 'empty'} when missing"


@cache
def _field_texts(kind: type) -> dict[str, str]:
    """The text below each field, of the class and of those it is made from."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        lines = [
            line for node in ast.parse(inspect.getsource(base)).body for line in ast.iter_child_nodes(node)
        ]
        for field, text in zip(lines, lines[1:]):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                found[ast.unparse(field.target)] = " ".join(ast.literal_eval(text.value).split())
    return found


def words(kind: Any) -> str:
    """A type as the page says it."""
    origin, args = get_origin(kind), get_args(kind)
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    if origin is Annotated:
        return words(args[0]) + _limits(args[1], get_origin(args[0]) is tuple)
    return WORDS[origin](args)


def _limits(limits: Range, of_list: bool) -> str:
    if of_list:
        return f", at most {limits.most:g}"
    if limits.most >= UNLIMITED:
        return f" from {limits.least:g}"
    return f" {limits.least:g}-{limits.most:,.12g}"


def _of_tuple(args: tuple[Any, ...]) -> str:
    if args[1:] == (...,):
        return f"list of {words(args[0])}"
    return f"[{', '.join(words(part) for part in args)}]"


def _of_union(args: tuple[Any, ...]) -> str:
    return " or ".join("null" if part is type(None) else words(part) for part in args)


WORDS: dict[Any, Callable[[tuple[Any, ...]], str]] = {
    tuple: _of_tuple,
    Union: _of_union,
    Literal: lambda args: " / ".join(f'"{option}"' for option in args),
    dict: lambda args: "object",
}


def _nested() -> set[type]:
    """Every dataclass inside a request or an answer, and those of errors and events."""
    found: set[type] = set()
    for operation in OPERATIONS.values():
        for kind in (operation.request, operation.answer):
            found |= set(_inside(kind)) - {kind}
    return found | {Failure, Progress}


def _inside(kind: Any) -> Iterator[type]:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind is not Window:
        yield kind
        for hint in get_type_hints(kind, include_extras=True).values():
            yield from _inside(hint)
    for part in get_args(kind):
        yield from _inside(part)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    sys.stdout.write(f"{PAGE} written\n")
