"""The fake engine of the plugin's tests keeps the contracts, so that what passes with it passes with the engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rs_text_search_plugin.contracts.decode import decode
from rs_text_search_plugin.contracts.operations import OPERATIONS

FAKE = Path(__file__).parents[1] / "plugin" / "fake_engine.py"


@pytest.fixture
def fake() -> Iterator[subprocess.Popen[str]]:
    command, pipe = [sys.executable, str(FAKE), "serve"], subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    yield process
    process.kill()
    process.communicate()


def ask(fake: subprocess.Popen[str], op: str, args: dict[str, Any]) -> Any:
    """The answer to a request, which is checked as well."""
    assert fake.stdin
    assert fake.stdout
    decode(OPERATIONS[op].request, args, op)
    fake.stdin.write(json.dumps({"id": 1, "op": op, "args": args}) + "\n")
    fake.stdin.flush()
    while "result" not in (message := json.loads(fake.stdout.readline())):
        assert "error" not in message
    return decode(OPERATIONS[op].answer, message["result"], op)


def test_what_it_answers_is_what_the_contracts_say(fake: subprocess.Popen[str], tmp_path: Path) -> None:
    source = str(tmp_path / "scene.tif")
    assert ask(fake, "hello", {}).protocol == 1
    assert ask(fake, "models", {}).models[0].name == "compact"
    assert ask(fake, "plan", {"source": source}).tiles == 100
    assert ask(fake, "contents", {"indexes": [source]}).rows[0].name == "house"
    assert ask(fake, "change", {"before": source, "after": source, "text": "houses"}).places[0].rank == 1
    index = ask(fake, "index", {"source": source}).index
    assert ask(fake, "info", {"sources": [source]}).indexes[0].state == "complete"
    found = ask(fake, "search", {"indexes": [index], "text": "tanks"})
    assert ask(fake, "rerank", {"result": found.result}).reranked
    assert ask(fake, "zoom", {"result": found.result, "top": 2}).complete
    assert ask(fake, "locate", {"indexes": [index], "x": 500_050.0, "y": 5_599_950.0}).tiles[0].id == 0
    assert ask(fake, "describe", {"index": index, "id": 0}).sure
    assert len(ask(fake, "thumbnails", {"index": index, "ids": [0, 1]}).paths) == 2
    rows = [{"index": index, "id": 0}]
    wanted = {"path": str(tmp_path / "a.gpkg"), "query": "q", "model": "compact", "matches": rows}
    assert ask(fake, "export", wanted).features == 1
