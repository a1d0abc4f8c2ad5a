"""What each operation of the protocol does; `call` performs one by name, with JSON in and out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rs_text_search_plugin.contracts.decode import decode
from rs_text_search_plugin.contracts.encode import encode
from rs_text_search_plugin.contracts.errors import ProtocolError
from rs_text_search_plugin.contracts.operations import OPERATIONS
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.service.reporting import Json
from rs_text_search_plugin.engine.service.session import Session

from . import change, contents, engine, indexing, search, tiles, zoom

HANDLERS: dict[str, Callable[[Session, Any, Job], Any]] = {
    "hello": engine.hello,
    "models": engine.models,
    "install": engine.install,
    "info": indexing.info,
    "verify": indexing.verify,
    "plan": indexing.plan,
    "index": indexing.index,
    "search": search.search,
    "rerank": search.rerank,
    "export": search.export,
    "contents": contents.contents,
    "zoom": zoom.zoom,
    "change": change.change,
    "describe": tiles.describe,
    "locate": tiles.locate,
    "thumbnails": tiles.thumbnails,
}
"""`cancel` and `shutdown` concern the server alone (server.py)."""


def call(session: Session, name: str, args: Json, job: Job) -> Json:
    """Performs an operation by name. Raises: SearchError; ProtocolError when the arguments are not its."""
    if name not in HANDLERS:
        raise ProtocolError(
            f"Unknown operation “{name[:60]}”.", "Plugin and engine differ: repair the engine."
        )
    request: Any = decode(OPERATIONS[name].request, args, name)
    answer: Json = encode(HANDLERS[name](session, request, job))
    return answer
