"""How soon a search, a description and `info` are answered while an index is being made, through a real `serve`.

python -m tests.bench.busy [--side 6000] [--seconds 60] [--model compact]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .photo import write_photo

QUERIES = ("storage tanks", "a river", "ships in a harbour", "runway", "football pitch", "parking lot")


class Engine:
    """A `serve` process; answers come in any order."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "rs_text_search_plugin.engine", "serve"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        self.answers: dict[int, dict[str, Any]] = {}
        self.last = 0

    def send(self, op: str, **args: Any) -> int:
        """Returns the id of the request."""
        self.last += 1
        assert self.process.stdin
        line = json.dumps({"id": self.last, "op": op, "args": args})
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self.last

    def wait(self, id_: int) -> dict[str, Any]:
        """The answer to a request; those to others are kept."""
        assert self.process.stdout
        while id_ not in self.answers:
            message = json.loads(self.process.stdout.readline())
            if "event" not in message:
                self.answers[message["id"]] = message
        return self.answers.pop(id_)

    def timed(self, op: str, **args: Any) -> tuple[float, dict[str, Any]]:
        """Seconds until the answer, and the answer."""
        start = time.perf_counter()
        answer = self.wait(self.send(op, **args))
        return time.perf_counter() - start, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=6000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--model", default="compact")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raster = str(write_photo(Path(folder) / "photo.tif", args.side, args.side))
        engine = Engine()
        engine.wait(engine.send("hello"))
        begun = time.perf_counter()
        run = engine.send("index", source=raster, model=args.model)
        first, spans = measured(engine, run, raster, begun, args.seconds)
        engine.send("cancel", target=run)
        engine.wait(run)
        engine.process.kill()
    report(first, spans)


def measured(
    engine: Engine, run: int, raster: str, begun: float, limit: float
) -> tuple[float | None, dict[str, list[float]]]:
    """Seconds until a search found something, and those of every operation while the run went on."""
    first, turn, spans = None, 0, {"search": [], "describe": [], "info": [], "thumbnails": []}
    while time.perf_counter() - begun < limit and run not in engine.answers:
        took, answer = engine.timed("search", indexes=[raster], text=QUERIES[turn % len(QUERIES)])
        result = answer.get("result", {})
        turn += 1
        if not result.get("matches"):
            time.sleep(0.2)
            continue
        first = first or time.perf_counter() - begun
        best = {"index": result["matches"][0]["index"], "id": result["matches"][0]["id"]}
        spans["search"].append(took)
        spans["describe"].append(engine.timed("describe", **best)[0])
        spans["info"].append(engine.timed("info", sources=[raster])[0])
        spans["thumbnails"].append(engine.timed("thumbnails", index=best["index"], ids=[best["id"]])[0])
        time.sleep(0.2)
    return first, spans


def report(first: float | None, spans: dict[str, list[float]]) -> None:
    print("first match after", "-" if first is None else f"{first:.1f} s")
    for op, seconds in spans.items():
        if seconds:
            middle, most = 1000 * statistics.median(seconds), 1000 * max(seconds)
            print(f"{op:<11} median {middle:6.0f} ms, longest {most:6.0f} ms, {len(seconds)} times")


if __name__ == "__main__":
    main()
