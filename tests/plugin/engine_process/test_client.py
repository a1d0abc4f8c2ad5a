"""The client against a fake engine: answers, progress, cancel, and every way an engine can go wrong."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from qgis.PyQt.QtCore import QProcess, QThread

from rs_text_search_plugin.contracts.messages import Window
from rs_text_search_plugin.contracts.operations.search import SearchAnswer, SearchRequest
from rs_text_search_plugin.engine_process.child_process import (
    child_environment,
    exit_reason,
    leaks,
    new_process,
)
from rs_text_search_plugin.engine_process.client import EngineClient, EngineError

FAKE = str(Path(__file__).parents[1] / "fake_engine.py")


@pytest.fixture
def source(tmp_path):
    """A raster's name with an index beside it."""
    (tmp_path / "scene.tif.rsidx").mkdir()
    (tmp_path / "scene.tif.rsidx" / "meta.json").write_text("{}")
    return str(tmp_path / "scene.tif")


@pytest.fixture
def client(qgis_app, qtbot):
    client = EngineClient()
    with qtbot.waitSignal(client.ready, timeout=5000):
        client.start(FAKE)
    yield client
    client.stop()


class Answer:
    """Collects what a request brings."""

    def __init__(self):
        self.result = self.error = None
        self.progress = []

    def ask(self, client, op, args):
        return client.request(
            op,
            args,
            lambda result: setattr(self, "result", result),
            lambda error: setattr(self, "error", error),
            self.progress.append,
        )

    def here(self):
        return self.result is not None or self.error is not None


def ask(client, qtbot, op, args):
    answer = Answer()
    answer.ask(client, op, args)
    qtbot.waitUntil(answer.here, timeout=5000)
    return answer


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_greets_and_answers(client, qtbot, source):
    assert client.is_ready()
    assert client.hello["device"]["name"] == "cpu"
    answer = ask(client, qtbot, "search", {"indexes": [source], "text": "tanks", "top": 3})
    assert [m["rank"] for m in answer.result["matches"]] == [1, 2, 3]


def test_reports_progress_in_order(client, qtbot, tmp_path):
    answer = ask(client, qtbot, "index", {"source": str(tmp_path / "new.tif")})
    assert answer.result["complete"]
    assert [news["done"] for news in answer.progress] == list(range(0, 101, 10))


def test_an_error_is_not_a_dead_engine(client, qtbot, source):
    answer = ask(client, qtbot, "search", {"indexes": [source], "text": "error"})
    assert (answer.error.kind, answer.error.hint) == ("QueryError", "Use other words.")
    assert client.is_ready()


def test_a_request_of_the_contracts_brings_an_answer_of_theirs(client, qtbot, source):
    answers = []
    client.send(SearchRequest(indexes=(source,), text="tanks", top=3), answers.append)
    qtbot.waitUntil(lambda: bool(answers), timeout=5000)
    assert isinstance(answers[0], SearchAnswer)
    assert answers[0].matches[2].window == Window(200, 0, 100, 100)


def test_a_result_that_is_not_what_was_agreed_is_an_error_that_names_the_field(client, qtbot, source):
    answer = ask(client, qtbot, "search", {"indexes": [source], "text": "strange"})
    assert (answer.error.kind, answer.error.message) == ("ProtocolError", "search: `tiles` is missing.")
    assert "repair the engine" in answer.error.hint
    assert client.is_ready()


def test_foreign_lines_are_kept_for_diagnostics(client, qtbot, source):
    answer = ask(client, qtbot, "search", {"indexes": [source], "text": "noise"})
    assert answer.result["matches"]
    assert "a library prints" in client.diagnostics()


def test_cancel_stops_within_a_second(client, qtbot, tmp_path):
    answer = Answer()
    request_id = answer.ask(client, "index", {"source": str(tmp_path / "slow.tif")})
    qtbot.waitUntil(lambda: bool(answer.progress), timeout=5000)
    start = time.monotonic()
    client.cancel(request_id)
    qtbot.waitUntil(answer.here, timeout=5000)
    assert answer.error.kind == "Cancelled"
    assert time.monotonic() - start < 1


def test_a_crash_is_reported_and_the_engine_started_once_more(client, qtbot, source):
    with qtbot.waitSignal(client.restarting, timeout=5000) as restarting:
        answer = ask(client, qtbot, "search", {"indexes": [source], "text": "crash"})
    assert restarting.args == ["a library gave up (abort)"]
    assert answer.error.kind == "EngineDied"
    assert "abort" in answer.error.message
    assert "fatal: a library crashed" in answer.error.details
    assert ask(client, qtbot, "search", {"indexes": [source], "text": "tanks"}).result["matches"]


def test_a_second_crash_in_a_row_stops_it_until_the_next_request(client, qtbot, source):
    crash = {"indexes": [source], "text": "crash"}
    ask(client, qtbot, "search", crash)
    with qtbot.waitSignal(client.stopped, timeout=5000):
        ask(client, qtbot, "search", crash)
    assert not client.is_running()
    assert ask(client, qtbot, "search", {"indexes": [source], "text": "tanks"}).result["matches"]


def test_kill_from_outside_is_named(client, qtbot, source):
    answer = Answer()
    answer.ask(client, "search", {"indexes": [source], "text": "slow"})
    os.kill(client._process.processId(), signal.SIGKILL)
    qtbot.waitUntil(answer.here, timeout=5000)
    assert "killed" in answer.error.message


def test_a_silent_engine_is_given_up(client, qtbot, source):
    client.silence_limit_s = 1.5
    answer = ask(client, qtbot, "search", {"indexes": [source], "text": "hang"})
    assert "no sign of life" in answer.error.message


def test_a_busy_engine_that_beats_is_waited_for(client, qtbot, source):
    client.silence_limit_s = 1.5
    answer = ask(client, qtbot, "search", {"indexes": [source], "text": "slow"})
    assert answer.result["matches"]


def test_a_missing_python_is_named(qgis_app, qtbot, tmp_path):
    client = EngineClient()
    with qtbot.waitSignal(client.stopped, timeout=5000) as stopped:
        client.start(str(tmp_path / "nowhere" / "python"))
    assert "could not be started" in stopped.args[0]


def test_a_python_without_the_packages_is_not_restarted_forever(qgis_app, qtbot):
    client = EngineClient()
    starts = []
    client.restarting.connect(starts.append)
    with qtbot.waitSignal(client.stopped, timeout=5000) as stopped:
        client.start("/bin/false")
    assert stopped.args == ["it ended with code 1"]
    assert starts == []


def test_an_engine_that_cannot_start_tells_its_own_reason(qgis_app, qtbot, tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho loading >&2\necho 'No module named torch' >&2\nexit 1\n")
    script.chmod(0o755)
    client = EngineClient()
    with qtbot.waitSignal(client.stopped, timeout=5000) as stopped:
        client.start(str(script))
    assert stopped.args == ["it ended with code 1: No module named torch"]


def test_without_any_python_the_request_says_what_to_do(qgis_app, qtbot):
    answer = ask(EngineClient(), qtbot, "search", {})
    assert answer.error.kind == "EngineMissing"
    assert "Set up engine" in answer.error.hint


def test_stop_leaves_no_process_and_no_late_answer(client, qtbot, tmp_path):
    pid = client._process.processId()
    answer = Answer()
    answer.ask(client, "index", {"source": str(tmp_path / "slow.tif")})
    client.stop()
    assert not alive(pid)
    qtbot.wait(100)
    assert not answer.here()


def test_engine_ends_when_its_qgis_dies(tmp_path):
    """The pipe closes with the parent, whatever killed it."""
    process = QProcess()
    process.start(FAKE, ["serve"])
    assert process.waitForStarted(5000)
    pid = process.processId()
    process.closeWriteChannel()
    assert process.waitForFinished(5000)
    assert not alive(pid)


def test_call_waits_in_a_thread_without_an_event_loop(qgis_app, source, tmp_path):
    outcome = {}

    class Worker(QThread):
        def run(self):
            client = EngineClient()
            client.start(FAKE)
            progress = []
            outcome["index"] = client.call(
                "index", {"source": str(tmp_path / "n.tif")}, on_progress=progress.append
            )
            outcome["progress"] = len(progress)
            try:
                client.call("search", {"indexes": [source], "text": "crash"})
            except EngineError as error:
                outcome["error"] = error.kind
            outcome["search"] = client.call("search", {"indexes": [source], "text": "tanks"})
            client.stop()

    worker = Worker()
    worker.start()
    assert worker.wait(10_000)
    assert outcome["index"]["complete"]
    assert outcome["progress"] == 11
    assert outcome["error"] == "EngineDied"
    assert outcome["search"]["matches"]


def test_call_can_be_cancelled(client, tmp_path):
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    start = time.monotonic()
    with pytest.raises(EngineError) as raised:
        client.call("index", {"source": str(tmp_path / "slow.tif")}, cancelled=stop.is_set)
    assert raised.value.kind == "Cancelled"
    assert time.monotonic() - start < 2


def test_call_gives_up_a_silent_engine(client, source):
    client.silence_limit_s = 1.0
    with pytest.raises(EngineError, match="no sign of life"):
        client.call("search", {"indexes": [source], "text": "hang"})


def test_a_raising_callback_does_not_swallow_the_next_answer(client, qtbot, source):
    def raises(_result):
        raise ValueError("a bug in the panel")

    answer = Answer()
    with qtbot.capture_exceptions() as raised:
        client.request("models", {}, raises)
        answer.ask(client, "models", {})
        qtbot.waitUntil(answer.here, timeout=5000)
    assert answer.result["models"]
    assert len(raised) == 1


def test_children_get_a_clean_environment(qgis_app, monkeypatch):
    for name in (
        "PYTHONPATH",
        "PYTHONHOME",
        "PROJ_LIB",
        "PROJ_DATA",
        "GDAL_DATA",
        "LD_LIBRARY_PATH",
        "PIP_TARGET",
    ):
        monkeypatch.setenv(name, "/foreign")
    monkeypatch.setenv("SSL_CERT_FILE", "/not/there")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example.org/simple")
    environment = child_environment()
    dropped = "PYTHONPATH PYTHONHOME PROJ_LIB PROJ_DATA GDAL_DATA LD_LIBRARY_PATH PIP_TARGET SSL_CERT_FILE"
    assert [name for name in dropped.split() if environment.contains(name)] == []
    assert environment.value("PIP_INDEX_URL") == "https://mirror.example.org/simple"
    assert environment.value("PATH") == os.environ["PATH"]


def test_a_valid_certificate_path_stays(tmp_path):
    assert not leaks("SSL_CERT_DIR", str(tmp_path))


def test_exit_codes_become_words(qgis_app):
    process = new_process()
    process.start("/bin/sh", ["-c", "kill -SEGV $$"])
    process.waitForFinished(5000)
    assert exit_reason(process) == "a library crashed (segmentation fault)"
