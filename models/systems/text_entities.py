"""Text entities: captions that say the same, for MGRM-EL's text classifier (`mgrm_el.py`).

Two texts are one entity when only case, accents and punctuation distinguish them, or when the cosine of their TF-IDF
vectors is at least a threshold; so is every chain of such pairs, that is, entities are connected components.
Training only: scikit-learn and scipy come with the extra `train`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rs_text_search_plugin.models.layers.minilm import basic_tokens
from scipy.sparse.csgraph import connected_components
from sklearn import config_context
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import radius_neighbors_graph

from rs_text_search_plugin.contracts.arrays import I64

WORKING_MEMORY_MB = 256


def entities(texts: Sequence[str], theta: float) -> I64:
    """n texts -> (n,) number of the entity, counted from 0 in order of appearance.

    `theta` is a cosine in 0-1; at 1 only texts with the same words in the same order are merged."""
    number: dict[str, int] = {}
    distinct = np.array([number.setdefault(normalised(text), len(number)) for text in texts], dtype=np.int64)
    if theta >= 1 or len(number) < 2:
        return distinct
    vectors = TfidfVectorizer(analyzer=str.split).fit_transform(number)
    with config_context(working_memory=WORKING_MEMORY_MB):
        near = radius_neighbors_graph(vectors, 1 - theta, metric="cosine")
    _, component = connected_components(near, directed=False)
    return np.asarray(component, np.int64)[distinct]


def normalised(text: str) -> str:
    """Lower-case words without accents and punctuation, one space apart."""
    return " ".join(word for word in basic_tokens(text) if word.isalnum())
