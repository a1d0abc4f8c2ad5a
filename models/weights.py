"""Weights: a file in the package, or a download that is asked for, resumable and pinned by its sha256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from rs_text_search_plugin.engine.errors import ModelError

CHUNK = 1 << 20
TIMEOUT_S = 30.0
Consent = Callable[["Remote"], bool]


@dataclass(frozen=True)
class Remote:
    """A file elsewhere. `url` names a commit, so that it always means the same bytes."""

    name: str
    url: str
    bytes: int
    sha256: str
    licence: str

    @property
    def path(self) -> Path:
        """Where it is kept once fetched."""
        return cache_folder() / f"{self.sha256[:12]}-{Path(urlsplit(self.url).path).name}"


def cache_folder() -> Path:
    """Downloads live in $RS_TEXT_SEARCH_CACHE, else in the person's cache folder."""
    chosen = os.environ.get("RS_TEXT_SEARCH_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "rs_text_search" / "weights"


def fetch(remote: Remote, consent: Consent) -> Path:
    """The file, downloaded first if it is not there and `consent` says yes.

    A broken download is continued next time. Raises ModelError when refused, unreachable or not the bytes we
    know."""
    if remote.path.exists():
        return remote.path
    if not consent(remote):
        hint = f"Agree to download {remote.bytes / 1e6:.0f} MB ({remote.licence}), or choose another model."
        raise ModelError(f"The weights of {remote.name} are not here.", hint)
    if urlsplit(remote.url).scheme not in ("https", "http"):
        raise ModelError(f"{remote.url} is not a web address.", "Correct the model's entry in registry.toml.")
    part = remote.path.with_suffix(remote.path.suffix + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        _download(remote, part)
    except (URLError, OSError, HTTPException) as error:
        hint = "Check the network and try again: it continues where it stopped."
        raise ModelError(f"Downloading {remote.name} broke off: {error}", hint) from error
    found = sha256(part)
    if found != remote.sha256:
        part.unlink()
        hint = "The file was deleted. Try again; if it happens twice, do not trust the source."
        raise ModelError(
            f"The weights of {remote.name} are not the file we know (sha256 {found[:12]}...).", hint
        )
    part.replace(remote.path)
    return remote.path


def sha256(path: Path) -> str:
    """sha256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(remote: Remote, part: Path) -> None:
    start = part.stat().st_size if part.exists() else 0
    if start >= remote.bytes:
        return
    request = Request(remote.url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = cast(HTTPResponse, urlopen(request, timeout=TIMEOUT_S))  # nosec B310
    except HTTPError as error:
        if error.code != 416:  # nothing left to send: what we have is whole or wrong, the hash decides
            raise
        return
    with response, part.open("ab" if response.status == 206 else "wb") as file:
        while block := response.read(CHUNK):
            file.write(block)
    if part.stat().st_size < remote.bytes:
        raise URLError(f"{part.stat().st_size} of {remote.bytes} bytes came")
