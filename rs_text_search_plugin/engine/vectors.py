"""Arithmetic on embeddings that indexing and searching share."""

from __future__ import annotations

import numpy as np

from rs_text_search_plugin.contracts.arrays import F32


def unit_length(rows: F32) -> F32:
    """(..., dim) scaled to unit length; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-12), dtype=np.float32)
