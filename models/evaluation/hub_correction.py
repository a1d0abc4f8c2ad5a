"""Hubs: pictures that are near every text, and texts that are near every picture.

In spaces of hundreds of dimensions some points are among the nearest of far too many others (Radovanovic et al.,
JMLR 2010), and push down what fits better. What training texts make of a picture tells how much of a hub it is, and
the reverse (as QB-Norm does it with a bank of queries: Bogolin et al., CVPR 2022), so that likeness becomes

    s(picture, text) - b(picture) - c(text),    b = LESS * log mean exp(BETA * s(picture, training texts)) / BETA

and c the same with training pictures, each bank stood for by some centres that centres.py finds. b depends on the
picture alone and c on the text alone: no other query plays a part.

It is for retrieval both ways, as `evaluate` measures it. A search in an index does without: c does not change the
order of tiles, b loses a little with queries of one or two words, and scores are judged by the cosine itself, since
c is large for texts that are well understood."""

from __future__ import annotations

import torch
from torch import Tensor, nn

BETA = 20.0
"""How sharply a soft maximum looks."""
LESS = (0.4, 0.8)
"""How much of it is taken off for pictures and for texts. Chosen on RSICD val."""


class Hubs(nn.Module):
    """Centres of training texts and pictures (centres, dim), and the share of them that each stands for
    (centres,)."""

    texts: Tensor
    text_shares: Tensor
    images: Tensor
    image_shares: Tensor

    def __init__(self, dim: int, centres: int) -> None:
        super().__init__()
        for name in ("text", "image"):
            self.register_buffer(f"{name}s", torch.zeros(centres, dim))
            self.register_buffer(f"{name}_shares", torch.full((centres,), 1 / centres))

    def likeness(self, images: Tensor, texts: Tensor) -> Tensor:
        """Unit vectors (n, dim) and (m, dim) -> (n, m), their cosines less what is due to hubs."""
        b = LESS[0] * hubness(images, self.texts, self.text_shares)
        c = LESS[1] * hubness(texts, self.images, self.image_shares)
        return images @ texts.T - b[:, None] - c[None]


def hubness(vectors: Tensor, bank: Tensor, shares: Tensor) -> Tensor:
    """Unit vectors (n, dim), a bank (m, dim) and how much each of it counts (m,) -> (n,), the soft maximum of their
    likeness."""
    return torch.logsumexp(BETA * (vectors @ bank.T) + shares.log(), 1) / BETA
