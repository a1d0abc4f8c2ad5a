"""Requests to the engine and who waits for their answers; every answer is checked against its contract."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable

from rs_text_search_plugin.contracts.decode import decode
from rs_text_search_plugin.contracts.encode import encode
from rs_text_search_plugin.contracts.errors import ProtocolError
from rs_text_search_plugin.contracts.messages import Progress
from rs_text_search_plugin.contracts.operations import OPERATIONS

Json = dict[str, Any]
OnResult = Callable[[Any], None]
OnError = Callable[["EngineError"], None]


class EngineError(Exception):
    """An operation failed. `kind` is the engine's exception, or EngineDied, EngineMissing, Cancelled."""

    def __init__(self, kind: str, message: str, hint: str = "", details: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


def missing() -> EngineError:
    """There is no Python to run the engine with."""
    return EngineError(
        "EngineMissing", "The engine is not set up.", "Press “Set up engine” in the search panel."
    )


def ignore(_: Any) -> None:
    """For a caller who does not want to know."""


@dataclass
class Request:
    """An operation asked of the engine. With a request of the contracts the answer comes as theirs too."""

    op: str
    args: Any
    """A JSON object, or a request of the contracts."""
    on_result: OnResult = ignore
    on_error: OnError = ignore
    on_progress: OnResult = ignore

    def answer(self, result: Any) -> None:
        """Hands on a result that is what the contract says, else an error."""
        answer = self._checked(OPERATIONS[self.op].answer, result)
        if answer is not None:
            self.on_result(result if isinstance(self.args, dict) else answer)

    def show(self, progress: Json) -> bool:
        """Hands on how far it is; False after an error, when what came is not what the contract says."""
        fields = {name: value for name, value in progress.items() if name not in {"id", "event"}}
        checked = self._checked(Progress, fields)
        if checked is not None:
            self.on_progress(progress)
        return checked is not None

    def _checked(self, kind: type, value: Any) -> Any:
        """The value as the contract has it, or None after an error."""
        try:
            return decode(kind, value, self.op)
        except ProtocolError as error:
            hint = "Plugin and engine differ: repair the engine."
            self.on_error(EngineError("ProtocolError", error.message, hint))
            return None

    def refuse(self, failure: Any) -> None:
        """Hands on the engine's error."""
        told = failure if isinstance(failure, dict) else {}
        self.on_error(
            EngineError(*(str(told.get(key) or "") for key in ("kind", "message", "hint", "details")))
        )


class OpenRequests:
    """Requests without an answer yet, by their id."""

    def __init__(self) -> None:
        self._waiting: dict[int, Request] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._waiting

    def add(self, request: Request) -> tuple[int, bytes]:
        """The request's id, and the line to send."""
        self._last_id += 1
        self._waiting[self._last_id] = request
        line = json.dumps({"id": self._last_id, "op": request.op, "args": encode(request.args)}) + "\n"
        return self._last_id, line.encode()

    def clear(self) -> list[Request]:
        """Forgets all; returns them."""
        waiting, self._waiting = list(self._waiting.values()), {}
        return waiting

    def deliver(self, message: Any) -> Request | None:
        """Hands one message of the engine to whom it concerns; returns the request that it answers."""
        request_id = message.get("id") if isinstance(message, dict) else None
        if not isinstance(request_id, int) or request_id not in self._waiting:
            return None
        if "event" in message:
            if message["event"] == "progress" and not self._waiting[request_id].show(message):
                del self._waiting[request_id]
            return None
        request = self._waiting.pop(request_id)
        if "error" in message:
            request.refuse(message["error"])
        else:
            request.answer(message.get("result"))
        return request
