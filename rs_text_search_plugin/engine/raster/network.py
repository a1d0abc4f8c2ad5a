"""Which rasters contact another machine when they are read, and which of those this user has agreed to.

A file can be a description that takes its pixels from an address (WMS, VRT, STAC). That is ordinary GDAL, but nobody
should learn of it from a firewall: such a file is refused unless it is allowed. An index may come from a stranger, so
the address in it is followed only when this user has indexed from there.
"""

from __future__ import annotations

import hashlib
import html
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rs_text_search_plugin.models.files import cache_folder, make_private_folder, written_whole

ADDRESS = re.compile(
    r"\w+://(?!/)|/vsi(curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)"
    r"|^\s*<(GDAL_)?(WMS|WMTS|WCS)|^(WMS|WMTS|WCS|PLMOSAIC|EEDAI?|DAAS|STACIT|STACTA|HTTP|PG|OGCAPI):",
    re.IGNORECASE,
)
"""What in a source's name makes GDAL contact another machine; `file:///` does not."""
SHARE = re.compile(r"\s*[\\/]{2}")
"""A network share of Windows, whose servers are sent the user's credentials."""
SERVICES = re.compile(rb"<\W*(\w*:)?(GDAL_WMS|GDAL_WMTS|WCS_GDAL|WM\w*_Capabilities|Capabilities|TileMap)\b")
POINTERS = re.compile(rb"<(?:Source\w*|IndexDataset|\w*Filename|\w*File|Location)\b[^>]*>(.*?)</", re.DOTALL)
"""Elements of GDAL's XML descriptions that name other files."""
HREF = re.compile(rb'"href"\s*:\s*"(.*?)"')
HEAD_BYTES = 512
TEXT_BYTES = 64_000_000
DEEPEST, MOST_FILES = 5, 10_000
"""How far descriptions of descriptions are followed."""
UNREACHABLE = {"GDAL_HTTP_PROXY": "127.0.0.1:9", "CPL_VSIL_CURL_ALLOWED_FILENAME": "none"}
"""Options under which GDAL reaches nothing, for what the search above does not know."""


def address_in(source: str) -> str | None:
    """The address that a file, or what it describes, takes pixels from; None for what stays on this machine."""
    if found := ADDRESS.search(source):
        return source[max(0, found.start() - 8) : found.start() + 80].strip()
    return next(_addresses(Path(source), DEEPEST, [MOST_FILES]), None)


def _addresses(path: Path, depth: int, left: list[int]) -> Iterator[str]:
    """Addresses in a description; `left` counts down the files that may still be opened."""
    left[0] -= 1
    text = _description(path) if left[0] > 0 and depth > 0 else b""
    if SERVICES.match(text.lstrip(b"\xef\xbb\xbf \t\r\n")[:HEAD_BYTES]) or SERVICES.search(text[:HEAD_BYTES]):
        yield _shown(text)
    for name in _names(text):
        if ADDRESS.search(name):
            yield _shown(name.encode())
        elif name and left[0] > 0:
            yield from _addresses(path.parent / name, depth - 1, left)


def _description(path: Path) -> bytes:
    """The text of an XML or JSON file; nothing of any other."""
    with suppress(OSError, ValueError), path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"<", b"{"):
            return head + file.read(TEXT_BYTES)
    return b""


def _names(text: bytes) -> Iterator[str]:
    pointers = POINTERS.findall(text) if text.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" else ()
    yield from (html.unescape(content.decode("utf-8", "replace")).strip() for content in pointers)
    if text[:1] == b"{" and (b"stac_version" in text or b"tiled_assets" in text):
        yield from (name.decode("utf-8", "replace") for name in HREF.findall(text))


def _shown(text: bytes) -> str:
    """The address within a text, for people."""
    found = re.search(rb"(\w+://|/vsi\w+/)[^\s<\"']{0,80}", text)
    return (found[0] if found else text[:60]).decode("utf-8", "replace")


def remember(source: str) -> None:
    """Note that this user indexed a source, given by its whole path, that contacts another machine."""
    note = _note(source)
    with suppress(OSError):  # without a cache folder it is asked again next time
        make_private_folder(note.parent)
        with written_whole(note):
            pass


def is_remembered(source: str) -> bool:
    """Whether this user indexed from this source."""
    return _note(source).is_file()


def is_followed(source: str) -> bool:
    """Whether an index's own word for its raster may be opened: a path on this machine, or an address agreed to."""
    elsewhere = ADDRESS.search(source) or (os.name == "nt" and SHARE.match(source))
    return not elsewhere or is_remembered(source)


def _note(source: str) -> Path:
    """Named by the source and the address found in it, so that another address is asked for again."""
    agreed = f"{source}\n{address_in(source)}".encode("utf-8", "surrogatepass")
    return cache_folder("sources") / hashlib.sha256(agreed).hexdigest()
