"""The plugin's end of docs/protocol.md: one engine process, JSON lines, and an error for every way it can fail.

    client = EngineClient()
    client.start(python)
    client.send(SearchRequest(...), show, complain)                # from the GUI thread, returns at once
    client.request("search", {...}, show, complain)                # the same with a JSON object in and out
    result = client.call("search", {...}, feedback.isCanceled)     # from an algorithm, waits

A client belongs to the thread that made it; it needs no GUI and no iface.
"""

from __future__ import annotations

import json
from typing import Any, Callable

from qgis.PyQt.QtCore import QObject, QProcess, QTimer, pyqtSignal

from rs_text_search_plugin.contracts.operations import OPERATION_OF

from .child_process import end, engine_arguments, exit_reason, new_process
from .requests import EngineError, Json, OnError, OnResult, OpenRequests, Request, ignore, missing

__all__ = ["EngineClient", "EngineError", "Json", "OnError", "OnResult", "ignore"]

STDERR_KEPT = 20_000
"""Characters of what the engine wrote to stderr last."""
START_LIMIT_S = 180.0
"""Importing torch from a cold, slow disk with a virus scanner takes more than a minute."""
SILENCE_LIMIT_S = 30.0
"""The engine sends a heartbeat every 2 s while it is busy."""
TICK_S = 1.0
POLL_MS = 100


class EngineClient(QObject):
    """Keeps one engine process and hands out its answers. Nothing here waits, except `call` and `stop`."""

    ready = pyqtSignal(dict)
    """The engine answered `hello`; carries the answer."""
    restarting = pyqtSignal(str)
    """The engine died, carries why; another one is being started."""
    stopped = pyqtSignal(str)
    """There is no engine any more; carries why, "" when it was asked to end."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.python = ""
        self.hello: Json = {}
        """What the engine said of itself; empty until it is ready."""
        self.start_limit_s = START_LIMIT_S
        self.silence_limit_s = SILENCE_LIMIT_S
        self._process: QProcess | None = None
        self._open = OpenRequests()
        self._silent_s = 0.0
        self._may_restart = True
        self._complaint = ""
        self._said = ""
        self._timer = QTimer(self)
        self._timer.setInterval(int(TICK_S * 1000))
        self._timer.timeout.connect(self._tick)

    # ---- start and end of the process ----

    def is_ready(self) -> bool:
        """True once the engine has answered and as long as it lives."""
        return bool(self.hello)

    def is_running(self) -> bool:
        """True from start to end of the process."""
        return self._process is not None

    def start(self, python: str) -> None:
        """Starts the engine with a Python that has its packages; `ready` or `stopped` follows."""
        self.stop()
        self.python = python
        self._may_restart = True
        self._launch()

    def stop(self) -> None:
        """Ends the engine, within three seconds even if it hangs. Requests still open get no answer."""
        self._open.clear()
        process = self._forget_process()
        if process is None:
            return
        process.write(b'{"id": 0, "op": "shutdown", "args": {}}\n')
        end(process)
        process.deleteLater()
        self.stopped.emit("")

    def diagnostics(self) -> str:
        """The last lines the engine wrote to stderr."""
        return self._said

    def _launch(self) -> None:
        self._said = self._complaint = ""
        process = self._process = new_process(self)
        process.readyReadStandardOutput.connect(self._read)
        process.readyReadStandardError.connect(self._listen)
        process.finished.connect(self._died)
        process.errorOccurred.connect(self._failed)
        self._silent_s = 0.0
        self._timer.start()
        process.start(self.python, engine_arguments("serve"))
        if self._process is process:  # it may have failed to start already
            self._write(Request("hello", {}, self._greeted, self._not_greeted))

    def _forget_process(self) -> QProcess | None:
        """Lets go of the process without another word from it."""
        process, self._process = self._process, None
        self.hello = {}
        self._timer.stop()
        if process is not None:
            process.disconnect()
        return process

    def _greeted(self, hello: Json) -> None:
        self.hello = hello
        self.ready.emit(hello)

    def _not_greeted(self, error: EngineError) -> None:
        self._complaint = error.message
        if self._process is not None:
            self._process.kill()

    def _failed(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._died()

    def _died(self, *_: object) -> None:
        """Answers whoever waits, and starts another engine once if this one had been well."""
        self._listen()
        process, was_well = self._process, self.is_ready()
        self._forget_process()
        if process is None:
            return
        reason, said = self._why_ended(process, was_well), self._said
        process.deleteLater()
        waiting = self._open.clear()
        again = was_well and self._may_restart
        if again:
            self._may_restart = False
            self._launch()
            self.restarting.emit(reason)
        else:
            self.stopped.emit(reason)
        hint = "It was started again: try once more." if again else "Repair the engine in the search panel."
        for request in waiting:
            request.on_error(EngineError("EngineDied", f"The engine stopped: {reason}.", hint, said))

    def _why_ended(self, process: QProcess, was_well: bool) -> str:
        """The exit in words; an engine that never got ready has told its reason last."""
        reason = self._complaint or exit_reason(process)
        last = [] if was_well else self._said.strip().splitlines()[-1:]
        return ": ".join([reason, *last])

    # ---- asking ----

    def request(
        self,
        op: str,
        args: Json,
        on_result: OnResult = ignore,
        on_error: OnError = ignore,
        on_progress: OnResult = ignore,
    ) -> int:
        """Sends an operation and returns its id; exactly one of `on_result` and `on_error` is called later."""
        return self._start(Request(op, args, on_result, on_error, on_progress))

    def send(
        self,
        request: Any,
        on_answer: OnResult = ignore,
        on_error: OnError = ignore,
        on_progress: OnResult = ignore,
    ) -> int:
        """The same with a request of the contracts (`SearchRequest`); `on_answer` gets theirs (`SearchAnswer`)."""
        return self._start(Request(OPERATION_OF[type(request)], request, on_answer, on_error, on_progress))

    def _start(self, request: Request) -> int:
        """Sends a request; without a living engine the last one is started again."""
        if self._process is None and self.python:
            self._may_restart = True
            self._launch()
        if self._process is None:
            QTimer.singleShot(0, lambda: request.on_error(missing()))
            return 0
        return self._write(request)

    def cancel(self, request_id: int) -> None:
        """Asks the engine to stop an operation; its `on_error` gets kind Cancelled."""
        if request_id in self._open:
            self._write(Request("cancel", {"target": request_id}))

    def call(
        self,
        op: str,
        args: Json,
        cancelled: Callable[[], bool] = lambda: False,
        on_progress: OnResult = ignore,
    ) -> Json:
        """Sends an operation and waits, without an event loop: for threads. Raises: EngineError."""
        outcome: list[Any] = []
        request_id = self.request(op, args, outcome.append, outcome.append, on_progress)
        if request_id == 0:
            raise missing()
        told = False
        while not outcome:
            if cancelled() and not told:
                self.cancel(request_id)
                told = True
            self._wait()
        if isinstance(outcome[0], EngineError):
            raise outcome[0]
        return dict(outcome[0])

    def _wait(self) -> None:
        """Lets the process's signals in for a tenth of a second."""
        if self._process is not None and not self._process.waitForReadyRead(POLL_MS):
            self._silent(POLL_MS / 1000)

    def _write(self, request: Request) -> int:
        request_id, line = self._open.add(request)
        if self._process is not None:
            self._process.write(line)
        return request_id

    # ---- listening ----

    def _read(self) -> None:
        """Hands every whole line to whom it concerns; a callback may stop the engine meanwhile."""
        self._silent_s = 0.0
        while self._process is not None and self._process.canReadLine():
            line = bytes(self._process.readLine()).decode("utf-8", "replace")
            try:
                message = json.loads(line)
            except ValueError:
                self._keep(line)  # a library's print that slipped through
                continue
            answered = self._open.deliver(message)
            if answered is not None and answered.op != "hello":
                self._may_restart = True  # it does work: the next crash is a new one

    def _listen(self) -> None:
        if self._process is not None:
            self._keep(bytes(self._process.readAllStandardError()).decode("utf-8", "replace"))

    def _keep(self, said: str) -> None:
        self._said = (self._said + said)[-STDERR_KEPT:]

    def _tick(self) -> None:
        """Counts seconds in which this process ran, so that a laptop waking up does not kill its engine."""
        if self._process is not None and self._process.canReadLine():
            self._read()  # lines left behind when a callback raised
        self._silent(TICK_S)

    def _silent(self, seconds: float) -> None:
        """Ends an engine that owes an answer and shows no sign of life."""
        self._silent_s = self._silent_s + seconds if self._open else 0.0
        limit = self.silence_limit_s if self.is_ready() else self.start_limit_s
        if self._process is not None and self._silent_s > limit:
            self._complaint = f"it showed no sign of life for {limit:.0f} s"
            self._silent_s = 0.0
            self._process.kill()
