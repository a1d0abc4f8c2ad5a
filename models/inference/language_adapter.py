"""From a sentence encoder of many languages into the text space of one encoder.

y = softmax(x K + b) V + x A + c, of unit length: a softmax over learnt phrases, each with its own vector, and a
linear map. It is fitted to one text tower (`models.training.language_adapter`) and kept beside that model's weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from rs_text_search_plugin.models import files
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from rs_text_search_plugin.contracts.arrays import F32
from rs_text_search_plugin.contracts.errors import ModelError
from rs_text_search_plugin.contracts.protocols import Encoder

PROBES = (
    "forest",
    "a white boat",
    "many parked cars",
    "sand",
    "a road between houses",
    "blue",
    "an airport",
    "snow",
)
"""Texts whose vectors tell whether an adapter was fitted to an encoder's text tower."""
SAME_TOWER = 0.999
"""Least cosine of the probes; rounding to 16 bits costs less than 0.0001."""
TENSORS = ("keys", "bias", "values", "linear", "offset", "probes")


@dataclass(frozen=True)
class LanguageAdapter:
    """Sentences of dimension s to an encoder's space of dimension d, over h learnt phrases."""

    keys: F32
    """(s, h)"""
    bias: F32
    """(h,)"""
    values: F32
    """(h, d)"""
    linear: F32
    """(s, d)"""
    offset: F32
    """(d,)"""
    probes: F32
    """(p, d) the encoder's vectors of PROBES."""

    def __call__(self, sentences: F32) -> F32:
        """(n, s) unit length -> (n, d) unit length."""
        logits = sentences @ self.keys + self.bias
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        found = shares @ self.values + sentences @ self.linear + self.offset
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)

    def fits(self, encoder: Encoder) -> bool:
        """Whether an encoder has the text tower that this was fitted to."""
        if self.probes.shape[1] != encoder.dim:
            return False
        cosines = (encoder.texts(list(PROBES)) * self.probes).sum(axis=1)
        return float((cosines / np.linalg.norm(self.probes, axis=1)).min()) >= SAME_TOWER

    def save(self, path: Path, fingerprint: str) -> None:
        """Write it in 16 bits, with the fingerprint of the encoder."""
        tensors = {name: np.ascontiguousarray(getattr(self, name), dtype=np.float16) for name in TENSORS}
        with files.written_whole(path, private=False) as part:
            save_file(tensors, part, {"encoder": fingerprint})


def load(path: Path) -> LanguageAdapter:
    """An adapter from its file. Raises ModelError when it is damaged."""
    try:
        tensors = load_file(path)
        return LanguageAdapter(**{name: tensors[name].astype(np.float32) for name in TENSORS})
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"{path} is damaged: {error!r}", "Install the plugin again.") from error


def path_of(model: str) -> Path:
    """Where the adapter of a model is kept: beside the weights that the package brings."""
    return (
        Path(str(resources.files("rs_text_search_plugin.models")))
        / "weights"
        / f"{model}-languages.safetensors"
    )


def adapter_of(encoder: Encoder) -> LanguageAdapter | None:
    """The adapter fitted to an encoder, None when there is none. Raises ModelError when its file is damaged."""
    key = encoder.fingerprint
    if key not in _found:
        path = path_of(encoder.name)
        adapter = _load(path) if path.is_file() else None
        _found[key] = adapter if adapter is not None and adapter.fits(encoder) else None
    return _found[key]


_load = cache(load)
_found: dict[str, LanguageAdapter | None] = {}
