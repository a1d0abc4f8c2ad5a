"""Hub correction, for retrieval benchmarks.

In spaces of hundreds of dimensions some points ("hubs") are among the nearest neighbours of far too many others
(Radovanovic et al., JMLR 2010) and displace better matches. How much of a hub an image is can be told from its
similarity to training texts, and the reverse, as QB-Norm does with a bank of queries (Bogolin et al., CVPR 2022):

    s(image, text) - b(image) - c(text),    b = WEIGHT * log mean exp(BETA * s(image, training texts)) / BETA

and c likewise with training images. Each bank is represented by cluster centres (hub_centres.py), which a weight
file may hold. b depends on the image alone and c on the text alone, never on other queries.

A search in an index uses the plain cosine: c does not change the order of tiles, b loses a little with queries of
one or two words, and scores are calibrated on cosines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rs_text_search_plugin.models import checkpoint

from rs_text_search_plugin.contracts.arrays import F32

BETA = 20.0
"""Sharpness of the soft maximum."""
IMAGE_WEIGHT, TEXT_WEIGHT = 0.4, 0.8
"""Share of the hubness that is subtracted. Chosen on RSICD val."""


@dataclass(frozen=True)
class HubCentres:
    """Centres (k, dim) of training texts and images, and the share (k,) of them that each represents."""

    texts: F32
    text_shares: F32
    images: F32
    image_shares: F32

    def similarity(self, images: F32, texts: F32) -> F32:
        """Unit vectors (n, dim) and (m, dim) -> (n, m), their cosines with hub correction."""
        b = IMAGE_WEIGHT * hubness(images, self.texts, self.text_shares)
        c = TEXT_WEIGHT * hubness(texts, self.images, self.image_shares)
        corrected: F32 = images @ texts.T - b[:, None] - c[None]
        return corrected


def hubness(vectors: F32, bank: F32, shares: F32) -> F32:
    """Unit vectors (n, dim), a bank (k, dim) with shares (k,) -> (n,), the soft maximum of their cosines."""
    found: F32 = np.log(np.exp(BETA * (vectors @ bank.T)) @ shares) / np.float32(BETA)
    return found


def read_hub_centres(path: Path) -> HubCentres | None:
    """The centres in a weight file; None when it has none. Raises ModelError."""
    if path.suffix != ".safetensors":
        return None
    tensors = checkpoint.read_tensors(path, checkpoint.HUB_CENTRES)
    return HubCentres(**{name: value.numpy() for name, value in tensors.items()}) if tensors else None
