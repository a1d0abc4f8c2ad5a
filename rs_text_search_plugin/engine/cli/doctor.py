"""`rs-text-search doctor`: uses each package for real, because one that imports may still not work."""

# ruff: noqa: PLC0415 - a package that does not even import must not keep the others from being tried

from __future__ import annotations

import importlib.metadata
import platform
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rs_text_search_plugin.engine.service.reporting import Json, explain

REPAIR = "Press “Repair engine” in QGIS, or install it again: pip install --force-reinstall {}"


@dataclass(frozen=True)
class Check:
    """One thing tried: `detail` says what worked, or what happened instead."""

    name: str
    ok: bool
    version: str
    detail: str
    hint: str
    seconds: float


class WrongAnswerError(Exception):
    """A package ran and gave a wrong answer."""


def examine(say: Callable[[str], None] = lambda name: None) -> Json:
    """Tries everything in order -> {"ok", "checks"}; `say` hears each name before it is tried."""
    checks = []
    for name, (package, trial) in TRIALS.items():
        say(name)
        checks.append(_try(name, package, trial))
    return {"ok": all(check.ok for check in checks), "checks": [asdict(check) for check in checks]}


def lines(report: Json) -> Iterator[str]:
    """The report for reading."""
    width = max(len(check["name"]) for check in report["checks"])
    for check in report["checks"]:
        word = "ok  " if check["ok"] else "FAIL"
        yield f"{word}  {check['name']:<{width}}  {check['version']:<12}  {check['detail']}"
        if check["hint"]:
            yield f"      {'':<{width}}  {check['hint']}"
    yield "Everything works." if report["ok"] else "The engine is not fit to run."


def _try(name: str, package: str | None, trial: Callable[[], str]) -> Check:
    start = time.perf_counter()
    hint, version = "", _version(package)
    try:
        ok, detail = True, trial()
    except Exception as error:  # whatever a broken package does is what doctor is there to tell
        known = explain(error)
        ok, detail = False, known.message if known.kind != "Internal" else f"{type(error).__name__}: {error}"
        hint = REPAIR.format(package) if package else known.hint
    return Check(name, ok, version, detail, hint, round(time.perf_counter() - start, 2))


def _version(package: str | None) -> str:
    if package is None:
        return ""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _expect(right: bool, what: str) -> None:
    if not right:
        raise WrongAnswerError(f"wrong answer from {what}")


def _python() -> str:
    _expect(
        sys.version_info >= (3, 11) and struct.calcsize("P") == 8,
        "Python: 3.11 or newer with 64 bit is needed",
    )
    return f"{platform.python_version()} at {sys.executable}"


def _numpy() -> str:
    import numpy as np

    _expect(np.allclose(np.linalg.inv(np.eye(3) * 2), np.eye(3) / 2), "linalg.inv")
    return "inverted a matrix"


def _torch() -> str:
    import torch

    image = torch.ones(1, 3, 16, 16)
    _expect(torch.nn.functional.conv2d(image, torch.ones(1, 3, 3, 3)).sum().item() == 27 * 14 * 14, "conv2d")
    return f"convolved on {torch.get_num_threads()} CPU threads"


def _cuda() -> str:
    import torch

    if not torch.cuda.is_available():
        return "no CUDA device; the CPU is used"
    square = torch.ones(64, 64, device="cuda")
    _expect((square @ square).sum().item() == 64**3, "a matrix product on CUDA")
    return f"multiplied on {torch.cuda.get_device_name(0)}"


def _rasterio() -> str:
    import numpy as np
    from rasterio.io import MemoryFile
    from rasterio.transform import from_origin
    from rasterio.warp import transform

    pixels = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    layout = {"width": 8, "height": 8, "count": 1, "dtype": "uint8", "crs": "EPSG:32631"}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", transform=from_origin(500000, 0, 1, 1), **layout) as file:
            file.write(pixels)
        with memory.open() as file:
            _expect(
                bool((file.read() == pixels).all()) and file.crs.to_epsg() == 32631, "a GeoTIFF in memory"
            )
            x, _ = transform(file.crs, "EPSG:4326", [500000], [0])
    _expect(abs(x[0] - 3) < 1e-9, "PROJ")
    return "wrote, read and reprojected a GeoTIFF"


def _rapidfuzz() -> str:
    from rapidfuzz.distance import OSA

    _expect(OSA.distance("brigde", "bridge") == 1, "OSA.distance")
    return "counted the slips of a word"


def _snowballstemmer() -> str:
    import snowballstemmer

    _expect(snowballstemmer.stemmer("german").stemWord("häuser") == "haus", "the German stemmer")
    return "stemmed a German plural"


def _languages() -> str:
    from rs_text_search_plugin.engine.search.language import sentences

    if not sentences.is_installed():
        return f"word lists only; {sentences.HOW_TO_INSTALL}"
    beach, same, forest = sentences.encode(["plage", "beach", "forest"])
    _expect(float(beach @ same) > float(beach @ forest), "the sentence encoder")
    return "read a French word by its meaning"


def _shapely() -> str:
    import shapely

    _expect(shapely.union_all([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)]).area == 2, "union")
    return "merged two squares"


def _pyogrio() -> str:
    import numpy as np
    import shapely
    from pyogrio.raw import read, write

    square = np.array([shapely.to_wkb(shapely.box(0, 0, 1, 1))], dtype=object)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "square.gpkg")
        layer = {"fields": ["score"], "field_data": [np.array([80.0])], "geometry_type": "Polygon"}
        write(file, square, driver="GPKG", crs="EPSG:32631", **layer)
        meta, _, shapes, (scores,) = read(file)
    _expect(meta["crs"] == "EPSG:32631" and scores[0] == 80, "a GeoPackage")
    _expect(shapely.from_wkb(shapes[0]).area == 1, "a GeoPackage's polygon")
    return "wrote and read a GeoPackage"


def _faiss() -> str:
    import faiss
    import numpy as np

    index = faiss.IndexFlatIP(8)
    index.add(np.eye(8, dtype=np.float32))
    _, nearest = index.search(np.eye(8, dtype=np.float32), 1)
    _expect(nearest.ravel().tolist() == list(range(8)), "IndexFlatIP")
    return "found 8 of 8 vectors"


def _pyarrow() -> str:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"id": [1, 2, 3]})
    with tempfile.TemporaryDirectory() as folder:
        parquet.write_table(table, Path(folder, "t.parquet"))
        _expect(parquet.ParquetFile(Path(folder, "t.parquet")).read().equals(table), "Parquet")
    return "wrote and read Parquet"


def _safetensors() -> str:
    import numpy as np
    from safetensors.numpy import load, save

    _expect(bool((load(save({"a": np.ones(3)}))["a"] == 1).all()), "safetensors")
    return "packed and unpacked weights"


def _filelock() -> str:
    from filelock import FileLock

    with tempfile.TemporaryDirectory() as folder, FileLock(Path(folder, "lock")) as lock:
        _expect(lock.is_locked, "filelock")
    return "locked a file"


def _model() -> str:
    import numpy as np

    from rs_text_search_plugin.models import devices, registry

    device = devices.choose_device("auto")
    encoder = registry.load("compact", device.name)
    tile = np.random.default_rng(0).integers(0, 256, (1, encoder.size, encoder.size, 3), np.uint8)
    start = time.perf_counter()
    both = np.concatenate([encoder.images(tile), encoder.texts(["storage tanks"])])
    _expect(
        bool(np.allclose(np.linalg.norm(both, axis=1), 1, atol=1e-3)),
        "the encoder: vectors are not of unit length",
    )
    seconds, how = time.perf_counter() - start, getattr(encoder, "about", "")
    return f"{encoder.name} embedded a tile and a text in {seconds:.2f} s on {device.label}; {how}"


TRIALS: dict[str, tuple[str | None, Callable[[], str]]] = {
    "python": (None, _python),
    "numpy": ("numpy", _numpy),
    "torch": ("torch", _torch),
    "cuda": (None, _cuda),
    "rasterio": ("rasterio", _rasterio),
    "shapely": ("shapely", _shapely),
    "pyogrio": ("pyogrio", _pyogrio),
    "faiss": ("faiss-cpu", _faiss),
    "pyarrow": ("pyarrow", _pyarrow),
    "safetensors": ("safetensors", _safetensors),
    "filelock": ("filelock", _filelock),
    "rapidfuzz": ("rapidfuzz", _rapidfuzz),
    "snowballstemmer": ("snowballstemmer", _snowballstemmer),
    "languages": (None, _languages),
    "model": (None, _model),
}
