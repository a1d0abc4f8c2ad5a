import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from rs_text_search_plugin.models.weights import Remote, fetch

from rs_text_search_plugin.engine.errors import ModelError

BODY = bytes(range(256)) * 40
SHA256 = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves BODY; breaks off the first answer half-way when told to, and notes the ranges asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []
        self.broken = False


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(BODY) - start))
        self.end_headers()
        end = len(BODY) // 2 if self.server.broken and not asked else len(BODY)
        self.wfile.write(BODY[start:end])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("RS_TEXT_SEARCH_CACHE", str(tmp_path / "cache"))
    with Server() as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def remote(server, sha256=SHA256):
    return Remote("m", f"http://127.0.0.1:{server.server_port}/m.safetensors", len(BODY), sha256, "MIT")


def test_nothing_is_asked_for_without_consent(server):
    with pytest.raises(ModelError) as error:
        fetch(remote(server), lambda _: False)
    assert "MIT" in error.value.hint
    assert server.ranges == []


def test_a_broken_download_goes_on_where_it_stopped(server):
    server.broken = True
    wanted = remote(server)
    with pytest.raises(ModelError, match="broke off"):
        fetch(wanted, lambda _: True)
    assert not wanted.path.exists()
    path = fetch(wanted, lambda _: True)
    assert path.read_bytes() == BODY
    assert server.ranges == [None, f"bytes={len(BODY) // 2}-"]
    assert fetch(wanted, lambda _: False) == path  # now it is here, nobody is asked again
    assert len(server.ranges) == 2


def test_other_bytes_than_the_pinned_ones_are_deleted(server):
    wanted = remote(server, "0" * 64)
    with pytest.raises(ModelError, match="not the file we know"):
        fetch(wanted, lambda _: True)
    assert list(wanted.path.parent.iterdir()) == []


def test_only_web_addresses_are_opened(server):
    wanted = Remote("m", "file:///etc/hostname", 1, "0" * 64, "MIT")
    with pytest.raises(ModelError, match="not a web address"):
        fetch(wanted, lambda _: True)
