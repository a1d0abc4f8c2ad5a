"""Models: which there are, on which device they run, and how to load one. Nothing heavy is imported until one
is loaded."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomllib

from rs_text_search_plugin.contracts.errors import ModelError
from rs_text_search_plugin.contracts.operations.engine import ModelInfo

from .devices import choose_device
from .weights import Consent, Remote, Watch, adopt, cache_folder, fetch, no_watch

if TYPE_CHECKING:
    from rs_text_search_plugin.contracts.protocols import Encoder, Reranker

DEFAULT = "compact"
RERANKER = "mtgfe"
CLIP = ("arch", "quick_gelu", "mean", "std")
"""What only open_clip's models need to tell."""


def available() -> list[ModelInfo]:
    """Every model of the registry, the default first, then the person's own: the .toml files in the cache folder
    (docs/own-models.md)."""
    known = [_info(name, entry) for name, entry in entries().items()]
    return known + [_own_info(path) for path in sorted(cache_folder().glob("*.toml"))]


@cache
def entries() -> dict[str, dict[str, Any]]:
    """registry.toml as it stands."""
    return tomllib.loads(_folder().joinpath("registry.toml").read_text("utf-8"))


def constants(name: str) -> dict[str, Any]:
    """What turns a model's similarity into scores (engine/search/calibration.py), as its entry
    tells; empty if it does not."""
    return dict((_named(name) or {}).get("calibration", {}))


def rerankers() -> list[str]:
    """Names of the models that can rerank the best matches."""
    return [name for name, entry in entries().items() if entry.get("reranker")]


def load(name: str = DEFAULT, device: str = "auto", consent: Consent = lambda _remote: False) -> Encoder:
    """A model of the registry, a `compact` checkpoint (.safetensors), or a .toml file with an entry like the
    registry's.

    `consent` is asked before anything is downloaded. Raises ModelError when the model, its weights or the
    device is not to be had."""
    entry = _entry(name)
    path = _weights(entry, consent)
    from .inference import encoder  # noqa: PLC0415 - brings torch

    return encoder.build(entry, path, choose_device(device).name)


def load_reranker(name: str = RERANKER, device: str = "auto") -> Reranker:
    """What reranks the best matches of any model. Raises ModelError as `load` does, and for a
    model that cannot."""
    entry = _entry(name)
    if not entry.get("reranker"):
        raise ModelError(f"{name} cannot rerank.", f"Choose one of: {', '.join(rerankers())}.")
    path = _weights(entry, lambda _remote: False)
    from .inference import fusion_reranker  # noqa: PLC0415 - brings torch

    return fusion_reranker.load(entry, path, choose_device(device).name)


def weights_of(name: str) -> Path:
    """The file with a model's weights. Raises ModelError when it is not on this computer."""
    return _weights(_entry(name), lambda _remote: False)


def install(name: str, file: str | Path | None = None, watch: Watch = no_watch) -> Path:
    """Put the weights of a model into the cache: those in `file`, or without it a download, to which the
    person has agreed. Returns where they are. Raises ModelError, Cancelled."""
    entry = _entry(name)
    if file is None or "sha256" not in entry:
        return _weights(entry, lambda _remote: True, watch)
    return _found(entry) or adopt(_remote(entry), Path(file))


def _entry(name: str) -> dict[str, Any]:
    """What is known about a model, with its `name`. Raises ModelError when it is none."""
    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        return _own_entry(path)
    if path.suffix == ".safetensors" and path.is_file():
        return {**entries()[DEFAULT], "name": path.stem, "file": str(path.resolve())}
    found = _named(name)
    if found is None:
        raise ModelError(f"There is no model {name!r}.", f"Choose one of: {', '.join(entries())}.")
    return {**found, "name": name}


def _named(name: str) -> dict[str, Any] | None:
    """The registry's entry of that name, else the person's own. Raises ModelError when that one is broken."""
    own = cache_folder() / f"{name}.toml"
    return entries().get(name) or (_own_entry(own) if own.is_file() else None)


def _own_entry(path: Path) -> dict[str, Any]:
    """A .toml file of the person's with an entry like the registry's. Raises ModelError."""
    try:
        entry = tomllib.loads(path.read_text("utf-8"))
        needed = ("kind", "title", "file", "dim", "size_px", *(CLIP if entry.get("kind") == "clip" else ()))
        lacking = [key for key in needed if key not in entry]
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "See docs/own-models.md.") from error
    if lacking:
        raise ModelError(f"{path} does not say: {', '.join(lacking)}", "See docs/own-models.md.")
    return {
        "summary": "",
        "licence": "not told",
        **entry,
        "name": path.stem,
        "file": str(path.parent / entry["file"]),
    }


def _own_info(path: Path) -> ModelInfo:
    """What is wrong with a file that cannot be used stands where a summary would."""
    try:
        return _info(path.stem, _own_entry(path))
    except ModelError as error:
        lacking = {"dim": 0, "size_px": 0, "licence": "", "file": str(path.with_suffix(".missing"))}
        return _info(path.stem, {"title": path.stem, "summary": str(error), **lacking})


def _weights(entry: dict[str, Any], consent: Consent, watch: Watch = no_watch) -> Path:
    found = _found(entry)
    if found is None and "sha256" not in entry:
        raise ModelError(
            f"The weights of {entry['name']} are missing: {_local(entry)}", "Install the plugin again."
        )
    return found or fetch(_remote(entry), consent, watch)


def _found(entry: dict[str, Any]) -> Path | None:
    """The weights in the package, else in the cache, else None."""
    places = [_local(entry)] if "file" in entry else []
    places += [_remote(entry).path] if "sha256" in entry else []
    return next((path for path in places if path.is_file()), None)


def _local(entry: dict[str, Any]) -> Path:
    return _folder() / "weights" / str(entry["file"])  # an absolute `file` stays what it is


def _remote(entry: dict[str, Any]) -> Remote:
    return Remote(entry["name"], entry.get("url", ""), entry["bytes"], entry["sha256"], entry["licence"])


def _info(name: str, entry: dict[str, Any]) -> ModelInfo:
    entry = {**entry, "name": name}
    path = _found(entry)
    card = _folder() / "cards" / f"{name}.md"
    shown = {key: entry[key] for key in ("name", "title", "summary", "dim", "size_px", "licence")}
    return ModelInfo(
        **shown,
        bytes=path.stat().st_size if path else entry.get("bytes", 0),
        tiles_per_s=entry.get("tiles_per_s"),
        installed=path is not None,
        reranker=bool(entry.get("reranker")),
        file=str(entry.get("file") or _remote(entry).file),
        url=entry.get("url"),
        card=str(card) if card.is_file() else None,
    )


def _folder() -> Path:
    return Path(str(resources.files(__package__)))
