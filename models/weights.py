"""Weights outside the package: a file that the person picks, or a download that is asked for and resumable.
Both are pinned by their sha256.

    python -m rs_text_search_plugin.models.weights FILE     prints the lines that pin a file in registry.toml
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from rs_text_search_plugin.contracts.errors import ModelError

from . import files

CHUNK = 1 << 20
TIMEOUT_S = 30.0
Consent = Callable[["Remote"], bool]
Watch = Callable[[int, int], None]
"""Hears bytes here and in all; what it raises ends the download, which is continued next time."""


def no_watch(done: int, total: int) -> None:
    """For callers who do not watch."""


@dataclass(frozen=True)
class Remote:
    """A file elsewhere. `url` names a commit, so that it always means the same bytes; "" when it has none."""

    name: str
    url: str
    bytes: int
    sha256: str
    licence: str

    @property
    def file(self) -> str:
        """What it is called."""
        return Path(urlsplit(self.url).path).name or f"{self.name}.safetensors"

    @property
    def path(self) -> Path:
        """Where it is kept once it is here."""
        return cache_folder() / f"{self.sha256[:12]}-{self.file}"


def cache_folder() -> Path:
    """Where downloads and the person's own models live."""
    return files.cache_folder("weights")


def fetch(remote: Remote, consent: Consent, watch: Watch = no_watch) -> Path:
    """The file, downloaded first if it is not there and `consent` says yes.

    A broken download is continued next time. Raises ModelError when refused, unreachable or not the bytes we
    know."""
    if remote.path.exists():
        return remote.path
    missing = f"The weights of {remote.name} are not here."
    if not remote.url:
        raise ModelError(missing, no_address(remote))
    if not consent(remote):
        hint = f"Agree to download {remote.bytes / 1e6:.0f} MB ({remote.licence}), or choose another model."
        raise ModelError(missing, hint)
    if urlsplit(remote.url).scheme not in ("https", "http"):
        raise ModelError(f"{remote.url} is not a web address.", "Correct the model's entry in registry.toml.")
    part = remote.path.with_suffix(remote.path.suffix + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        _download(remote, part, watch)
    except (URLError, OSError, HTTPException) as error:
        hint = "Check the network and try again: it continues where it stopped."
        raise ModelError(f"Downloading {remote.name} broke off: {error}", hint) from error
    hint = "The file was deleted. Try again; if it happens twice, do not trust the source."
    return _checked(remote, part, hint)


def adopt(remote: Remote, file: Path) -> Path:
    """A file that the person has, copied to where it is kept. Raises ModelError when it is not the one we
    know or cannot be read."""
    part = remote.path.with_suffix(f".{os.getpid()}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(file, part)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ModelError(f"{file} cannot be copied: {error.strerror}.", "Pick another file.") from error
    return _checked(remote, part, f"Pick {remote.file} of this version of the plugin.")


def no_address(remote: Remote) -> str:
    """What to do about weights that no public address offers."""
    return (
        f"They have no public address yet: take {remote.file} from models/weights of the project's repository and "
        f"pick it under Engine > Models, or run `rs-text-search models --install {remote.name} --from FILE`."
    )


def _checked(remote: Remote, part: Path, hint: str) -> Path:
    """Give a whole file its name; what is not the file we know is deleted. Raises ModelError."""
    found = sha256(part)
    if found != remote.sha256:
        part.unlink()
        what = f"The weights of {remote.name} are not the file we know (sha256 {found[:12]}...)."
        raise ModelError(what, hint)
    part.replace(remote.path)
    return remote.path


def sha256(path: Path) -> str:
    """sha256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(remote: Remote, part: Path, watch: Watch) -> None:
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
            watch(file.tell(), remote.bytes)
    if part.stat().st_size < remote.bytes:
        raise URLError(f"{part.stat().st_size} of {remote.bytes} bytes came")


def main() -> None:
    """Print the lines that pin each file named on the command line."""
    for name in sys.argv[1:]:
        path = Path(name)
        print(f'file = "{path.name}"')
        print(f"bytes = {path.stat().st_size}")
        print(f'sha256 = "{sha256(path)}"  # pragma: allowlist secret')


if __name__ == "__main__":
    main()
