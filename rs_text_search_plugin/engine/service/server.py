"""The JSON-lines loop behind `rs-text-search serve`; docs/protocol.md is its contract.

One thread reads, one works on each lane (see contracts/operations), one sends heartbeats. The reader answers what
must not wait (hello, cancel, shutdown) and queues the rest. When the input ends, or nobody reads the output any
more, so does the engine: none outlives its QGIS.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, BinaryIO, NoReturn

from rs_text_search_plugin.contracts.decode import decode
from rs_text_search_plugin.contracts.errors import Cancelled, ProtocolError
from rs_text_search_plugin.contracts.operations import LANES, QUICK
from rs_text_search_plugin.contracts.operations.engine import CancelRequest, ShutdownRequest
from rs_text_search_plugin.engine.job import Job

from .operations import call
from .reporting import Json, Meter, explain
from .session import Session

Perform = Callable[[str, Json, Job], Json]
"""Name of an operation, its arguments, its job -> its result."""

HEARTBEAT_S = 2.0
GRACE_S = 5.0
"""How long an operation gets to stop by itself once the input has ended."""
POLL_S = 0.5
"""How often the main thread lets signals in; a wait without limit would keep them out on Windows."""


@dataclass(eq=False)
class Request:
    """One line of the client."""

    id: Any
    op: str
    args: Json
    stop: threading.Event = field(default_factory=threading.Event)


def parse(line: bytes) -> Request:
    """A line as a request. Raises: ProtocolError."""
    hint = 'Send {"id": 1, "op": "hello", "args": {}}.'
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"Not a JSON line: {error}", "Send one JSON object a line.") from error
    if not isinstance(message, dict) or not is_id(message.get("id")):
        raise ProtocolError("A request without an id: a whole number or a text.", hint)
    args = message.get("args") or {}
    if not isinstance(message.get("op"), str) or not isinstance(args, dict):
        raise ProtocolError("A request without an operation, or with `args` that are no object.", hint)
    return Request(message["id"], message["op"], args)


def is_id(value: Any) -> bool:
    """Whether a value can name a request; true and false are whole numbers to Python."""
    return isinstance(value, (int, str)) and not isinstance(value, bool)


class Lane:
    """A queue of requests and the thread that works on them in their order."""

    def __init__(self, name: str, perform: Callable[[Request], None]) -> None:
        self.perform = perform
        self.waiting: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name=name, daemon=True)

    def _work(self) -> None:
        while (request := self.waiting.get()) is not None:
            self.perform(request)


class Server:
    """Has operations performed, one of each lane at a time, and answers on a binary stream."""

    def __init__(self, perform: Perform, out: BinaryIO) -> None:
        self.perform = perform
        self.out = out
        self.writing = threading.Lock()
        self.lanes = {name: Lane(name, self._begin) for name in ("long", "slow", QUICK)}
        self.open: dict[Any, Request] = {}
        """Every request not yet answered, by id."""
        self.busy: set[Any] = set()
        """Ids of the requests being worked on."""
        self.changing = threading.Lock()
        """Held while a request passes from waiting to busy or to cancelled."""
        self.ended = threading.Event()

    def serve(self, lines: BinaryIO) -> None:
        """Answers requests until the input ends, a shutdown comes or the output is closed; then gives what
        runs a moment to stop."""
        lanes = [lane.thread for lane in self.lanes.values()]
        reader = threading.Thread(target=self._read, args=(lines,), name="reader", daemon=True)
        heartbeat = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        for thread in (*lanes, heartbeat, reader):
            thread.start()
        try:
            while not self.ended.wait(POLL_S):
                pass
        except KeyboardInterrupt:
            pass  # Ctrl-C or SIGTERM end the engine as the end of input does
        self._stop_all()
        deadline = time.monotonic() + GRACE_S
        for thread in lanes:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _stop_all(self) -> None:
        self.ended.set()
        for request in list(self.open.values()):
            request.stop.set()
        for lane in self.lanes.values():
            lane.waiting.put(None)

    def _read(self, lines: BinaryIO) -> None:
        try:
            while not self.ended.is_set() and (line := lines.readline()):
                if line.strip():
                    self._accept(line)
        finally:
            self.ended.set()

    def _accept(self, line: bytes) -> None:
        """Answers a line at once or puts it in the queue."""
        try:
            request = parse(line)
            if request.id in self.open:
                raise ProtocolError(f"The id {request.id} is still in use.", "Give every request its own id.")
        except ProtocolError as error:
            self._send({"id": None, "error": asdict(explain(error))})
            return
        self.open[request.id] = request
        lane = LANES.get(request.op, QUICK)
        if lane not in self.lanes:
            self._answer(request)
        else:
            self.lanes[lane].waiting.put(request)

    def _begin(self, request: Request) -> None:
        """Performs a request whose turn it is, unless it was cancelled and answered before."""
        with self.changing:
            if request.stop.is_set():
                return
            self.busy.add(request.id)
        self._answer(request)

    def _beat(self) -> None:
        while not self.ended.wait(HEARTBEAT_S):
            for id_ in list(self.busy):
                self._send({"id": id_, "event": "heartbeat"})

    def _answer(self, request: Request) -> None:
        """Performs a request and sends its one result or error; the engine outlives both."""
        self.busy.add(request.id)
        try:
            reply: Json = {"result": self._perform(request)}
        except Exception as error:  # the one place where a bug becomes a message
            reply = {"error": asdict(explain(error))}
        self._reply(request.id, reply)

    def _reply(self, id_: Any, reply: Json) -> None:
        self.busy.discard(id_)
        self.open.pop(id_, None)
        self._send({"id": id_, **reply})

    def _perform(self, request: Request) -> Json:
        if request.op == "cancel":
            return self._cancel(decode(CancelRequest, request.args, "cancel").target)
        if request.op == "shutdown":
            decode(ShutdownRequest, request.args, "shutdown")
            self.ended.set()
            return {}
        meter = Meter(lambda news: self._send({"id": request.id, "event": "progress", **asdict(news)}))
        return self.perform(request.op, request.args, Job(meter, request.stop.is_set))

    def _cancel(self, target: int | str) -> Json:
        """Tells a running operation to stop; one still waiting is answered right here."""
        with self.changing:
            request = self.open.get(target)
            waiting = request is not None and target not in self.busy
            if request is not None:
                request.stop.set()
        if waiting:
            self._reply(target, {"error": asdict(explain(Cancelled("Stopped before it began.")))})
        return {"cancelled": request is not None}

    def _send(self, message: Json) -> None:
        """Writes one whole line; when nobody reads any more, everything is to end."""
        line = json.dumps(message, allow_nan=False).encode() + b"\n"
        with self.writing:
            try:
                self.out.write(line)
                self.out.flush()
            except (OSError, ValueError):
                self.ended.set()


def private_streams() -> tuple[BinaryIO, BinaryIO]:
    """(requests, replies) away from fd 0 and 1, so that no library, in C or Python, reads or writes them."""
    sys.stdout.flush()
    lines, out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(lines, "rb"), os.fdopen(out, "wb")


def main() -> NoReturn:
    """`rs-text-search serve`. Ends at once: a library's thread may still be running."""
    lines, out = private_streams()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    with Session() as session:
        Server(partial(call, session), out).serve(lines)
    sys.stderr.flush()
    os._exit(0)
