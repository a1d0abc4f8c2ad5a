import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tomllib
from rs_text_search_plugin.models import registry, weights
from rs_text_search_plugin.models.weights import Remote, fetch

from rs_text_search_plugin.contracts.errors import Cancelled, ModelError

ROOT = Path(__file__).parents[2]

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


# ---- weights that do not come with the plugin ----

ENTRY = {
    "kind": "system",
    "title": "M",
    "summary": "A model.",
    "file": "m.safetensors",
    "bytes": len(BODY),
    "sha256": SHA256,
    "dim": 8,
    "size_px": 160,
    "licence": "MIT",
}


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A registry of one model, `m`, whose weights are nowhere yet."""
    monkeypatch.setenv("RS_TEXT_SEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "entries", lambda: {"m": ENTRY})
    (tmp_path / "mine.bin").write_bytes(BODY)
    return tmp_path / "mine.bin"


def test_a_picked_file_is_checked_and_kept(listed):
    assert not registry.available()[0].installed
    path = registry.install("m", listed)
    listed.unlink()
    assert path.read_bytes() == BODY
    (m,) = registry.available()
    assert (m.installed, m.bytes, m.file) == (True, len(BODY), "m.safetensors")
    assert registry.install("m") == path  # nothing is fetched again


def test_a_wrong_file_is_refused_and_not_kept(listed):
    listed.write_bytes(BODY[:-1] + b"?")
    with pytest.raises(ModelError, match="not the file we know") as error:
        registry.install("m", listed)
    assert "m.safetensors" in error.value.hint
    assert not registry.available()[0].installed
    assert list(weights.cache_folder().iterdir()) == []


def test_a_file_that_cannot_be_read_is_said(listed):
    with pytest.raises(ModelError, match="cannot be copied"):
        registry.install("m", listed.parent)
    assert list(weights.cache_folder().iterdir()) == []


@pytest.mark.parametrize("way", [registry.install, registry.load])
def test_without_an_address_the_way_out_is_to_pick_the_file(listed, way):
    with pytest.raises(ModelError, match="not here") as error:
        way("m")
    assert "no public address" in error.value.hint
    assert "pick" in error.value.hint


def test_weights_in_the_package_come_before_those_in_the_cache(listed, monkeypatch):
    registry.install("m", listed)
    monkeypatch.setitem(ENTRY, "file", str(listed))
    assert registry.install("m") == listed


def test_a_download_is_watched_and_goes_on_after_being_stopped(server):
    wanted, heard = remote(server), []

    def stop(done, total):
        heard.append((done, total))
        raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        fetch(wanted, lambda _: True, stop)
    assert heard == [(len(BODY), len(BODY))]
    assert fetch(wanted, lambda _: True).read_bytes() == BODY


def test_only_a_reranker_reranks(listed):
    with pytest.raises(ModelError, match="cannot rerank"):
        registry.load_reranker("m")


def test_every_model_but_the_default_is_pinned():
    entries = tomllib.loads((ROOT / "models" / "registry.toml").read_text("utf-8"))
    loose = [
        name
        for name, entry in entries.items()
        if name != registry.DEFAULT and not re.fullmatch(r"[0-9a-f]{64}", entry.get("sha256", ""))
    ]
    assert loose == []
    assert entries[registry.RERANKER]["reranker"]


def test_what_pins_a_file_can_be_pasted_into_the_registry(listed, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["weights", str(listed)])
    weights.main()
    assert tomllib.loads(capsys.readouterr().out) == {
        "file": "mine.bin",
        "bytes": len(BODY),
        "sha256": SHA256,
    }
