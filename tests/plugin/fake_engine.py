#!/usr/bin/python3
"""An engine without models or rasters: docs/protocol.md in milliseconds, from the standard library alone.

Stands in for the engine's Python (`RS_TEXT_SEARCH_PYTHON=.../fake_engine.py`), so it gets that Python's
arguments. Every raster is 1000 x 1000 m in EPSG:32632, its upper left corner at (500000, 5600000), in 10 x
10 tiles of 100 px. An index exists where `<source>.rsidx/meta.json` does. Queries with these words
misbehave: "crash" dies, "hang" sends no heartbeat, "slow" takes 3 s, "error" fails, "noise" prints first,
"strange" answers without its tiles, "nothing" finds nothing. Sources called *slow* index slowly,
*crash* die half-way, *missing* cannot be opened.
"""

from __future__ import annotations

import binascii
import json
import os
import queue
import struct
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path
from typing import Any

ROWS = COLS = 10
SIDE = 100
WEST, NORTH = 500000.0, 5600000.0
WKT = (
    'PROJCRS["WGS 84 / UTM zone 32N",BASEGEOGCRS["WGS 84",DATUM["World Geodetic System 1984",'
    'ELLIPSOID["WGS 84",6378137,298.257223563,LENGTHUNIT["metre",1]]],PRIMEM["Greenwich",0,'
    'ANGLEUNIT["degree",0.0174532925199433]],ID["EPSG",4326]],CONVERSION["UTM zone 32N",'
    'METHOD["Transverse Mercator",ID["EPSG",9807]],'
    'PARAMETER["Latitude of natural origin",0,ANGLEUNIT["degree",0.0174532925199433],ID["EPSG",8801]],'
    'PARAMETER["Longitude of natural origin",9,ANGLEUNIT["degree",0.0174532925199433],ID["EPSG",8802]],'
    'PARAMETER["Scale factor at natural origin",0.9996,SCALEUNIT["unity",1],ID["EPSG",8805]],'
    'PARAMETER["False easting",500000,LENGTHUNIT["metre",1],ID["EPSG",8806]],'
    'PARAMETER["False northing",0,LENGTHUNIT["metre",1],ID["EPSG",8807]]],CS[Cartesian,2],'
    'AXIS["(E)",east,ORDER[1],LENGTHUNIT["metre",1]],AXIS["(N)",north,ORDER[2],LENGTHUNIT["metre",1]],'
    'ID["EPSG",32632]]'
)
DEVICE = {"name": "cpu", "label": "CPU, 2 threads", "reason": "no CUDA device"}
BEAT_S = float(os.environ.get("FAKE_ENGINE_BEAT_S", "0.2"))

Json = dict
writing = threading.Lock()
stopped: set[Any] = set()
results: dict[str, Json] = {}
working: list[Any] = []
installed = set(os.environ.get("FAKE_ENGINE_INSTALLED", "").split())


class Failure(Exception):
    """(kind, message, hint) of an operation's error."""


def send(message: Json) -> None:
    with writing:
        print(json.dumps(message), flush=True)


def pause(request_id: int, seconds: float) -> None:
    """Sleeps, unless the request is cancelled meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if request_id in stopped:
            raise Failure("Cancelled", "Stopped.", "What was done is kept.")
        time.sleep(0.02)


def corners(tile: int) -> list[list[float]]:
    x, y = WEST + tile % COLS * SIDE, NORTH - tile // COLS * SIDE
    return [[x, y], [x + SIDE, y], [x + SIDE, y - SIDE], [x, y - SIDE]]


def tile_at(args: Json) -> int | None:
    col, row = int((args["x"] - WEST) // SIDE), int((NORTH - args["y"]) // SIDE)
    return row * COLS + col if 0 <= row < ROWS and 0 <= col < COLS else None


def folder_of(source: str) -> Path:
    return Path(source if source.endswith(".rsidx") else source + ".rsidx")


def hello(_id: int, _args: Json) -> Json:
    return {"version": "0.1.0", "protocol": 1, "python": "3.11.2", "device": DEVICE, "devices": [DEVICE]}


def models(_id: int, _args: Json) -> Json:
    """`compact` is there; `mtgfe` reranks, `remote` has an address, and both are there once installed."""
    rest = {"dim": 512, "size_px": 224, "tiles_per_s": 66.0, "licence": "GPL-2.0-or-later", "card": None}
    compact = {"name": "compact", "title": "Compact", "summary": "The default.", "installed": True}
    mtgfe = {
        "name": "mtgfe",
        "title": "MTGFE-style",
        "summary": "Reranks.",
        "installed": "mtgfe" in installed,
    }
    remote = {"name": "remote", "title": "Remote", "summary": "Far away.", "installed": "remote" in installed}
    listed = [
        {**compact, "reranker": False, "bytes": 20_000_000, "url": None},
        {**mtgfe, "reranker": True, "bytes": 26_000_000, "url": None},
        {
            **remote,
            "reranker": False,
            "bytes": 30_000_000,
            "url": "https://weights.invalid/remote.safetensors",
        },
    ]
    return {"models": [{**model, **rest, "file": f"{model['name']}.safetensors"} for model in listed]}


def install(request_id: int, args: Json) -> Json:
    """Takes any file that is not called wrong; a download takes a second."""
    if "wrong" in args.get("file", ""):
        raise Failure("ModelError", "The weights are not the file we know.", "Pick another file.")
    if "file" not in args:
        send({"id": request_id, "event": "progress", "done": 15, "total": 30, "message": "15 of 30"})
        pause(request_id, 1)
    installed.add(args["model"])
    return {"path": f"/cache/{args['model']}"}


def info(_id: int, args: Json) -> Json:
    found = []
    for name in [*args.get("sources", []), *args.get("indexes", [])]:
        folder = folder_of(name)
        done = (folder / "meta.json").is_file()
        ring = [[WEST, NORTH], [WEST + 1000, NORTH], [WEST + 1000, NORTH - 1000], [WEST, NORTH - 1000]]
        made = json.loads((folder / "meta.json").read_text()).get("model", "compact") if done else None
        other = done and args.get("model", made) != made
        word, detail = ("other-model", f"made with {made}") if other else ("complete" if done else "none", "")
        state = {"state": word, "detail": detail, "model": made}
        size = {"tiles": 100 if done else 0, "tiles_planned": 100, "tile_px": [SIDE, SIDE], "overlap": 0.0}
        place = {"bytes": 120_000, "crs": WKT, "footprint": ring}
        found.append({"source": str(folder)[:-6], "index": str(folder), **state, **size, **place})
    return {"indexes": found}


def plan(_id: int, args: Json) -> Json:
    size = {"tiles": 100, "rows": ROWS, "cols": COLS, "tile_px": [SIDE, SIDE], "tile_m": 100.0, "gsd_m": 1.0}
    size["levels"] = 1
    return {**size, "seconds": 1.2, "bytes": 120_000, "index": str(folder_of(args["source"])), "badges": []}


def index(request_id: int, args: Json) -> Json:
    if "missing" in args["source"]:
        raise Failure("RasterError", f"Cannot open {args['source']}.", "Check that the file is there.")
    folder = Path(args.get("out") or folder_of(args["source"]))
    folder.mkdir(parents=True, exist_ok=True)
    for done in range(0, 101, 10):
        if "crash" in args["source"] and done == 50:
            os.abort()
        pause(request_id, 0.5 if "slow" in args["source"] else 0.01)
        news = {
            "done": done,
            "total": 100,
            "rate": 50.0,
            "eta_s": (100 - done) / 50,
            "message": f"{done} of 100",
        }
        send({"id": request_id, "event": "progress", **news})
    (folder / "meta.json").write_text(json.dumps(args))
    counts = {"tiles": 100, "empty": 0, "unreadable": [], "resumed": 0, "complete": True}
    return {"index": str(folder), **counts, "seconds": 0.1, "tiles_per_s": 1000.0, "device": "cpu"}


def search(request_id: int, args: Json) -> Json:
    text = args.get("text", "")
    misbehave(request_id, text)
    indexes = [str(folder_of(name)) for name in args["indexes"]]
    for name in indexes:
        if not (Path(name) / "meta.json").is_file():
            raise Failure("IndexStoreError", f"There is no index at {name}.", "Index the raster first.")
    places = [(name, tile) for tile in range(ROWS * COLS) for name in indexes]
    if "nothing" in text:
        places = []
    matches = [match(rank, *place) for rank, place in enumerate(places[: args.get("top", 200)], start=1)]
    matches = [m for m in matches if m["score"] >= args.get("min_score", 0)]
    tiles = {"gsd_m": 1.0, "tile_px": [SIDE, SIDE], "overlap": 0.0, "fingerprint": "f" * 64}
    sources = [{"index": name, "source": name[:-6], "crs": WKT, **tiles} for name in indexes]
    counts = {"strong": min(10, len(matches)), "possible": 20, "tiles": 100 * len(indexes), "seconds": 0.01}
    verdict = (
        f"10 strong and 20 possible places among {counts['tiles']} tiles"
        if matches
        else "Nothing stands out."
    )
    result = {"query": text, "model": "compact", "verdict": verdict, **counts, "histogram": [5] * 20}
    result = {**result, "understood": "", "sources": sources, "matches": matches, "regions": [], "heat": []}
    result = {**result, "reranked": False, "result": f"result-{len(results)}"}
    results[result["result"]] = result
    if "strange" in text:
        del result["tiles"]
    return rerank(request_id, result) if args.get("rerank") else result


def rerank(request_id: int, args: Json) -> Json:
    """The best 64 of a result the other way round."""
    result = results[args["result"]]
    rerank_slowly(request_id, result["query"])
    best = [{**m, "rank": rank} for rank, m in enumerate(reversed(result["matches"][:64]), start=1)]
    return {**result, "matches": best + result["matches"][64:], "reranked": True}


def misbehave(request_id: int, text: str) -> None:
    if "crash" in text:
        print("fatal: a library crashed", file=sys.stderr, flush=True)
        os.abort()
    if "hang" in text:
        working.clear()
        time.sleep(60)
    if "slow" in text:
        pause(request_id, 3)
    if "noise" in text:
        print("a library prints where it should not", flush=True)
    if "outdated" in text:
        raise Failure(
            "IndexMismatch",
            f"{text.rsplit(maxsplit=1)[-1]} was made with another version.",
            "Index it again.",
        )
    if "error" in text:
        raise Failure("QueryError", "That cannot be searched for.", "Use other words.")


def rerank_slowly(request_id: int, text: str) -> None:
    """Half a second; "ponder" in the text takes 3 s, "stumble" fails."""
    if "stumble" in text:
        raise Failure("ModelError", "The reranker stumbled.", "Search without it.")
    pause(request_id, 3 if "ponder" in text else 0.5)


def match(rank: int, name: str, tile: int) -> Json:
    row, col = divmod(tile, COLS)
    place = {"row": row, "col": col, "window": [col * SIDE, row * SIDE, SIDE, SIDE], "corners": corners(tile)}
    score = round(max(0.0, 99.5 - tile), 1)
    return {"rank": rank, "index": name, "id": tile, "score": score, "region": 1 if tile < 3 else 0, **place}


def zoom(_id: Any, args: Json) -> Json:
    """A box of a quarter of the side in the middle of each of the best tiles."""
    if args["result"] not in results:
        raise Failure("QueryError", "The engine no longer holds the result.", "Search again.")
    points = []
    for found in results[args["result"]]["matches"][: args["top"]]:
        (left, top), _, (right, bottom), _ = found["corners"]
        x, y, reach = (left + right) / 2, (top + bottom) / 2, (right - left) / 8
        box = [[x - reach, y + reach], [x + reach, y + reach], [x + reach, y - reach], [x - reach, y - reach]]
        where = {"index": found["index"], "id": found["id"], "score": found["score"]}
        points.append({**where, "x": x, "y": y, "corners": box})
    return {"points": points, "complete": True, "seconds": 0.1, "unread": [], "files": []}


def contents(_id: int, args: Json) -> Json:
    """Three entries, of which one is not strong."""
    best = {"index": str(folder_of(args["indexes"][0])), "id": 5, "area_m2": 10_000.0}
    rows = [
        {"name": "house", "group": "object", "places": 9, "tiles": 30, "score": 95.0, **best},
        {"name": "car park", "group": "land use", "places": 2, "tiles": 4, "score": 91.0, **best},
        {"name": "glacier", "group": "land cover", "places": 1, "tiles": 1, "score": 60.0, **best},
    ]
    return {"rows": rows, "tiles": 100, "seconds": 0.01}


def describe(_id: int, args: Json) -> Json:
    tile = args["id"] if "id" in args else tile_at(args)
    if tile is None:
        raise Failure("QueryError", "No tile covers this place.", "Click inside an indexed raster.")
    name = str(folder_of(args.get("index") or args["indexes"][0]))
    tags = [
        {"name": "storage tank", "group": "object", "score": 91.0},
        {"name": "industrial area", "group": "land use", "score": 72.0},
        {"name": "water", "group": "land cover", "score": 33.0},
    ]
    said = {"sentence": "Storage tanks in an industrial area.", "sure": True, "tags": tags}
    return {"index": name, "id": tile, "corners": corners(tile), "crs": WKT, **said}


def locate(_id: int, args: Json) -> Json:
    tile = tile_at(args)
    if tile is None:
        return {"tiles": []}
    place = {"id": tile, "corners": corners(tile), "crs": WKT}
    return {"tiles": [{"index": str(folder_of(name)), **place} for name in args["indexes"]]}


def thumbnails(_id: int, args: Json) -> Json:
    folder = Path(tempfile.mkdtemp(prefix="fake-engine-"))
    paths = []
    for tile in args["ids"]:
        paths.append(str(folder / f"{tile}.png"))
        Path(paths[-1]).write_bytes(png((tile * 37 % 256, 120, 255 - tile * 37 % 256), args.get("size", 128)))
    return {"paths": paths}


def png(colour: tuple[int, int, int], side: int) -> bytes:
    """A square of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", binascii.crc32(kind + data))

    rows = zlib.compress((b"\0" + bytes(colour) * side) * side)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def export(_id: int, args: Json) -> Json:
    path = Path(args["path"])
    if path.suffix not in {".shp", ".gpkg", ".geojson", ".fgb", ".parquet"}:
        raise Failure(
            "ExportError", f"Unknown format {path.suffix}.", "Use .shp, .gpkg, .geojson, .fgb or .parquet."
        )
    path.write_text(json.dumps(args["matches"]))
    return {"path": str(path), "files": [str(path)], "features": len(args["matches"]), "warnings": []}


def change(_id: Any, args: Json) -> Json:
    place = {"rank": 1, "direction": "gained", "change": 60.0, "score_before": 20.0, "score_after": 80.0}
    tiles = {"index": args["after"], "id": 3, "other_index": args["before"], "other_id": 4, "checked": True}
    corners = [[500_000, 5_000_000], [500_016, 5_000_000], [500_016, 4_999_984], [500_000, 4_999_984]]
    where = {"corners": corners, "crs": "EPSG:32631"}
    verdict = "1 place gained and 0 lost."
    return {
        "query": args["text"],
        "verdict": verdict,
        "places": [{**place, **tiles, **where}],
        "seconds": 0.1,
    }


OPERATIONS = {
    f.__name__: f
    for f in (
        models,
        install,
        info,
        plan,
        index,
        search,
        rerank,
        describe,
        locate,
        thumbnails,
        export,
        contents,
        change,
        zoom,
    )
}


def answer(request: Json, operation: Any) -> None:
    """Performs a request and sends its one result or error."""
    request_id = request["id"]
    try:
        send({"id": request_id, "result": operation(request_id, request.get("args") or {})})
    except Failure as failure:
        kind, message, hint = failure.args
        send({"id": request_id, "error": {"kind": kind, "message": message, "hint": hint, "details": ""}})


def work(waiting: queue.Queue) -> None:
    while True:
        request = waiting.get()
        working.append(request["id"])
        answer(request, OPERATIONS[request["op"]])
        if request["id"] in working:
            working.remove(request["id"])


def beat() -> None:
    while True:
        time.sleep(BEAT_S)
        for request_id in list(working):
            send({"id": request_id, "event": "heartbeat"})


def serve() -> None:
    long, quick = queue.Queue(), queue.Queue()
    for lane in (long, quick):
        threading.Thread(target=work, args=(lane,), daemon=True).start()
    threading.Thread(target=beat, daemon=True).start()
    print("fake engine is up", file=sys.stderr, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "hello":
            answer(request, hello)
        elif request["op"] == "cancel":
            stopped.add(request["args"]["target"])
            send({"id": request["id"], "result": {"cancelled": True}})
        elif request["op"] == "shutdown":
            break
        else:
            (long if request["op"] in {"index", "install"} else quick).put(request)
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[-1] == "serve":
        serve()
    print(json.dumps({"ok": True, "checks": [{"name": "fake", "ok": True, "version": "1", "hint": ""}]}))
