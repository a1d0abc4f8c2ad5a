"""The server's side of docs/protocol.md, over real pipes and with operations made for the purpose."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rs_text_search_plugin.contracts.encode import encode
from rs_text_search_plugin.contracts.errors import Cancelled, QueryError
from rs_text_search_plugin.contracts.messages import Match, Progress, Window
from rs_text_search_plugin.engine.job import Job
from rs_text_search_plugin.engine.service import server as serving
from rs_text_search_plugin.engine.service.reporting import Meter, explain
from tests.engine.fakes import write_scene

ROOT = Path(__file__).parents[3]
SOON = 10.0


def perform(name: str, args: dict[str, Any], job: Job) -> dict[str, Any]:
    """Operations that show every way of ending."""
    if name == "echo":
        return args
    if name == "hello":
        return {"protocol": 1}
    if name == "count":
        for done in range(1, 1001):
            job.progress(done, 1000)
        return {}
    if name in {"wait", "index"}:
        for _ in range(1000):
            if job.cancelled():
                raise Cancelled("Stopped.", "What was done is kept.")
            time.sleep(0.01)
        return {}
    if name == "refuse":
        raise QueryError("No.", "Ask otherwise.")
    raise ZeroDivisionError("a bug")


class Client:
    """The other end of a server in a thread."""

    def __init__(self) -> None:
        self.requests, self.lines = os.pipe()
        replies, out = os.pipe()
        self.replies = os.fdopen(replies, "rb")
        self.out = os.fdopen(out, "wb")
        server = serving.Server(perform, self.out)
        self.thread = threading.Thread(target=self.serve, args=(server,), daemon=True)
        self.thread.start()

    def serve(self, server: serving.Server) -> None:
        with os.fdopen(self.requests, "rb") as lines:
            server.serve(lines)
        self.out.close()

    def send(self, line: object) -> None:
        os.write(self.lines, (line if isinstance(line, str) else json.dumps(line)).encode() + b"\n")

    def ask(self, id_: int, op: str, **args: Any) -> None:
        self.send({"id": id_, "op": op, "args": args})

    def read(self) -> dict[str, Any]:
        return json.loads(self.replies.readline())

    def until(self, id_: int | None, key: str) -> dict[str, Any]:
        """Reads on to the message of a request that holds `key`."""
        while True:
            message = self.read()
            if message["id"] == id_ and key in message:
                return message

    def hang_up(self) -> None:
        os.close(self.lines)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(serving, "HEARTBEAT_S", 0.05)
    made = Client()
    yield made
    if made.thread.is_alive():
        made.hang_up()
        made.thread.join(SOON)
    assert not made.thread.is_alive()


def test_answers_in_order_of_arrival(client: Client) -> None:
    for id_ in range(1, 6):
        client.ask(id_, "echo", number=id_)
    assert [client.read() for _ in range(5)] == [{"id": i, "result": {"number": i}} for i in range(1, 6)]


def test_hello_is_answered_while_an_operation_runs(client: Client) -> None:
    client.ask(1, "wait")
    client.ask(2, "hello")
    assert client.until(2, "result")["result"] == {"protocol": 1}
    client.until(1, "event")  # it runs
    client.ask(3, "cancel", target=1)
    ended: dict[int, dict[str, Any]] = {}
    while len(ended) < 2:  # either may be told first
        message = client.read()
        ended |= {message["id"]: message} if "event" not in message else {}
    assert ended[3]["result"] == {"cancelled": True}
    assert ended[1]["error"] == {
        "kind": "Cancelled",
        "message": "Stopped.",
        "hint": "What was done is kept.",
        "details": "",
    }


def test_quick_operations_are_answered_while_a_long_one_runs(client: Client) -> None:
    client.ask(1, "index")
    client.until(1, "event")  # it runs
    for id_ in (2, 3):
        client.ask(id_, "echo", number=id_)
        assert client.until(id_, "result")["result"] == {"number": id_}
    client.ask(4, "cancel", target=1)
    assert client.until(1, "error")["error"]["kind"] == "Cancelled"


def test_a_second_long_operation_waits_for_the_first(client: Client) -> None:
    client.ask(1, "index")
    client.until(1, "event")  # it runs
    client.ask(2, "index")
    client.ask(3, "cancel", target=2)
    assert client.until(2, "error")["error"]["message"] == "Stopped before it began."
    client.ask(4, "cancel", target=1)
    assert client.until(1, "error")["error"]["message"] == "Stopped."


def test_an_operation_that_waits_can_be_cancelled(client: Client) -> None:
    client.ask(1, "wait")
    client.ask(2, "echo")
    client.ask(3, "cancel", target=2)
    assert client.until(2, "error")["error"]["kind"] == "Cancelled"
    client.ask(4, "cancel", target=1)
    client.ask(5, "echo", still="alive")
    assert client.until(5, "result")["result"] == {"still": "alive"}


def test_cancelling_what_is_not_there(client: Client) -> None:
    client.ask(1, "cancel", target=99)
    assert client.read() == {"id": 1, "result": {"cancelled": False}}


def test_the_heart_beats_while_an_operation_is_busy_and_not_after(client: Client) -> None:
    client.ask(1, "wait")
    assert client.read() == {"id": 1, "event": "heartbeat"}
    client.ask(2, "cancel", target=1)
    client.until(1, "error")
    time.sleep(0.2)
    client.ask(3, "echo")
    assert client.read() == {"id": 3, "result": {}}


def test_progress_is_thinned_out_and_ends_with_the_last_count(client: Client) -> None:
    client.ask(1, "count")
    news = []
    while "result" not in (message := client.read()):
        news += [message] if message["event"] == "progress" else []
    assert 1 < len(news) < 20
    assert (news[-1]["done"], news[-1]["total"]) == (1000, 1000)
    assert news[-1]["rate"] > 0
    assert news[-1]["message"] == "1,000 of 1,000 tiles"


def test_an_error_is_not_a_dead_engine(client: Client) -> None:
    client.ask(1, "refuse")
    client.ask(2, "divide")
    client.ask(3, "echo")
    assert client.read()["error"] == {
        "kind": "QueryError",
        "message": "No.",
        "hint": "Ask otherwise.",
        "details": "",
    }
    bug = client.read()["error"]
    assert bug["kind"] == "Internal"
    assert "a bug" in bug["message"]
    assert "Traceback" in bug["details"]
    assert client.read()["result"] == {}


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1, 2]",
        '"hello"',
        '{"op": "echo"}',
        '{"id": null, "op": "echo"}',
        '{"id": 1}',
        '{"id": 1, "op": 5}',
        '{"id": 1, "op": "echo", "args": [1]}',
        "[" * 100_000,
        "\x00\x01",
    ],
    ids=lambda line: line[:20],
)
def test_a_malformed_line_is_answered_without_an_id(client: Client, line: str) -> None:
    client.send(line)
    reply = client.read()
    assert reply["id"] is None
    assert reply["error"]["kind"] == "ProtocolError"
    client.ask(7, "echo")
    assert client.read() == {"id": 7, "result": {}}


def test_an_id_in_use_is_refused(client: Client) -> None:
    client.ask(1, "wait")
    client.ask(1, "echo")
    assert "still in use" in client.until(None, "error")["error"]["message"]


def test_blank_lines_are_skipped(client: Client) -> None:
    client.send("  ")
    client.ask(1, "echo")
    assert client.read() == {"id": 1, "result": {}}


def test_shutdown_answers_and_stops_what_runs(client: Client) -> None:
    client.ask(1, "wait")
    client.ask(2, "shutdown")
    assert client.until(2, "result")["result"] == {}
    client.thread.join(SOON)
    assert not client.thread.is_alive()


def test_the_end_of_the_input_stops_what_runs(client: Client) -> None:
    client.ask(1, "wait")
    client.read()
    client.hang_up()
    client.thread.join(SOON)
    assert not client.thread.is_alive()


# ---- the whole process ----


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_scene(tmp_path / "scene.tif")


@pytest.fixture
def engine() -> Iterator[subprocess.Popen[bytes]]:
    """A real `serve` whose encoder prints on every call."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engine.serve_fake", "serve"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    yield process
    process.kill()
    process.communicate()


def ask(engine: subprocess.Popen[bytes], id_: int, op: str, **args: Any) -> dict[str, Any]:
    """The one answer to a request; events are skipped."""
    assert engine.stdin
    assert engine.stdout
    engine.stdin.write(json.dumps({"id": id_, "op": op, "args": args}).encode() + b"\n")
    engine.stdin.flush()
    while True:
        message: dict[str, Any] = json.loads(engine.stdout.readline())
        if "event" not in message:
            assert message["id"] == id_
            return message


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("hello", {"name": "me"}, "name"),
    ("search", {"text": "red"}, "indexes"),
    ("search", {"indexes": ["a"], "top": "9"}, "top"),
    ("search", {"indexes": "a" * 200_000}, "indexes"),
    ("index", {"source": "a.tif", "colour": "red"}, "colour"),
    ("index", {"source": "a.tif", "overlap": "half"}, "overlap"),
    ("info", {"sources": [["a"]]}, "sources[0]"),
    ("locate", {"indexes": [], "x": 0, "y": None}, "y"),
    ("thumbnails", {"index": "a"}, "ids"),
    ("thumbnails", {"index": "a", "ids": [1.5]}, "ids[0]"),
    ("export", {"path": "a", "query": "q", "model": "m", "matches": [{"id": 3}]}, "matches[0].index"),
]


def test_what_libraries_print_never_reaches_the_protocol(
    engine: subprocess.Popen[bytes], scene: Path
) -> None:
    made = ask(engine, 1, "index", source=str(scene), tile_px=32)["result"]
    found = ask(engine, 2, "search", indexes=[made["index"]], text="red")["result"]
    assert found["matches"][0]["score"] > found["matches"][-1]["score"]
    assert ask(engine, 3, "noise")["error"]["kind"] == "ProtocolError"
    for number, (op, args, field) in enumerate(WRONG, start=4):
        error = ask(engine, number, op, **args)["error"]
        assert (error["kind"], error["message"].split("`")[:2]) == ("ProtocolError", [f"{op}: ", field])
    out, err = engine.communicate(timeout=SOON)
    assert out == b""
    assert b"a library prints" in err
    assert b"C speaks too" in err
    assert engine.returncode == 0


def test_a_closed_output_ends_an_index_run_although_the_input_stays_open(
    engine: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert engine.stdin
    assert engine.stdout
    large = write_scene(tmp_path / "large.tif", side=4096)
    request = {"id": 1, "op": "index", "args": {"source": str(large), "tile_px": 32}}
    engine.stdin.write(json.dumps(request).encode() + b"\n")
    engine.stdin.flush()
    while b"progress" not in engine.stdout.readline():
        pass  # heartbeats while packages load
    engine.stdout.close()
    assert engine.wait(2 * SOON) == 0
    assert not Path(f"{large}.rsidx", "meta.json").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
def test_sigterm_ends_it_and_leaves_no_temporary_folder(engine: subprocess.Popen[bytes], scene: Path) -> None:
    made = ask(engine, 1, "index", source=str(scene), tile_px=32)["result"]
    picture = Path(ask(engine, 2, "thumbnails", index=made["index"], ids=[0])["result"]["paths"][0])
    assert picture.read_bytes().startswith(b"\x89PNG")
    engine.send_signal(signal.SIGTERM)
    assert engine.wait(SOON) == 0
    assert not picture.exists()


# ---- small parts ----


def test_a_meter_counts_only_what_was_done_now(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    heard: list[Progress] = []
    meter = Meter(heard.append)
    meter(500, 1000)
    meter(600, 1000)
    assert heard[0].rate is None
    assert (heard[1].rate, heard[1].eta_s) == (10.0, 40.0)


def test_values_become_plain_json() -> None:
    match = Match("a", 1, 0, 1, 0.5, 1, 0, Window(1, 2, 3, 4), ((0.0, 1.0),))
    plain = encode({"m": match, "n": np.float32(2), "a": np.array([1, 2]), "p": Path("x"), "x": float("nan")})
    assert plain["m"]["window"] == [1, 2, 3, 4]
    assert plain["m"]["corners"] == [[0.0, 1.0]]
    assert (plain["n"], plain["a"], plain["p"], plain["x"]) == (2.0, [1, 2], "x", None)
    json.dumps(plain, allow_nan=False)


def test_what_the_system_refuses_is_told_in_its_words() -> None:
    told = explain(PermissionError(13, "Permission denied", "/root/x"))
    assert (told.kind, told.message) == ("OSError", "Permission denied: /root/x")


def test_memory_that_ran_out_is_no_bug() -> None:
    told = explain(MemoryError("Unable to allocate 2. TiB for an array"))
    assert (told.kind, told.message) == ("MemoryError", "The computer's memory ran out.")
    assert "fewer rasters" in told.hint
    assert told.details == ""


def test_a_client_that_left_is_no_error() -> None:
    out = io.BytesIO()
    out.close()
    server = serving.Server(perform, out)
    server.serve(io.BytesIO(b'{"id": 1, "op": "echo"}\n'))
    assert server.ended.is_set()
