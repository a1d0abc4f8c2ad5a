"""Where pixels come from: a file, a URL, or something GDAL knows by name."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from .network import UNREACHABLE

REMOTE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_VERSION": "2",
    "VSI_CACHE": "TRUE",
}
"""What rasterio's guide advises for cloud-optimised GeoTIFFs."""
CACHE_MB = 256
"""GDAL keeps so much of what it decoded; its own default grows with the machine."""
WHOLE_BYTES = 64_000_000
"""Smaller rasters are digested whole, of larger ones PROBES pieces."""
PROBES = 256
PROBE_BYTES = 65_536


def is_remote(source: str) -> bool:
    """Whether a source is a URL or one of GDAL's virtual file systems."""
    return bool(re.match(r"(https?|s3|gs|az|ftp)://|/vsi", source))


def gdal_options(source: str, *, local: bool = False) -> dict[str, Any]:
    """How GDAL is to read a source; every thread that reads sets them for itself. `local`: no network."""
    return {
        "GDAL_CACHEMAX": CACHE_MB,
        **(REMOTE if is_remote(source) else {}),
        **(UNREACHABLE if local else {}),
    }


def is_named(source: str | Path) -> bool:
    """Whether a source is something GDAL knows by name: a URL, or a part of a file such as GPKG:map.gpkg:photo."""
    known = re.match(r"\w{2,}:", str(source)) and not Path(source).exists()
    return is_remote(str(source)) or bool(known)


def absolute(source: str | Path) -> str:
    """A file's whole path; a source that is named instead stays as it is."""
    return str(source) if is_named(source) else str(Path(source).absolute())


def file_facts(source: str) -> tuple[int, float, str]:
    """Size in bytes, mtime in s, and a digest of the content; zeros for what is not a file."""
    path = Path(source)
    if is_named(source) or not path.is_file():
        return 0, 0.0, ""
    info = path.stat()
    return info.st_size, info.st_mtime, _digest(path, info.st_size, info.st_mtime)


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, mtime: float) -> str:
    """sha256 of a file, or of PROBES pieces spread over a large one; remembered until its mtime changes."""
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size <= WHOLE_BYTES:
            digest.update(file.read())
        else:
            for number in range(PROBES):
                file.seek((size - PROBE_BYTES) * number // (PROBES - 1))
                digest.update(file.read(PROBE_BYTES))
    return digest.hexdigest()
