"""GaLR (re-implementation): global and local information fused into one image vector.

Yuan, Zhang, Tian, Rong, Zhang, Wang, Fu, Sun, "Remote Sensing Cross-Modal Text-Image Retrieval Based on
Global and Local Information", IEEE Transactions on Geoscience and Remote Sensing 60, 2022.

Theirs, from the paper's figures and the released code:
- `Mvsa`: a mask drawn from a lower and a higher scale gates the image's mean feature;
- `LocalBranch`: three graph convolutions over salient objects; `drea`, a representation without redundant
  objects and an adjacency in which salient ones count more;
- `Midf`: both vectors refine themselves, the global one corrects the local one, the corrected local one
  supplements the global one; two gated views of the pair are added with dynamic weights;
- text: a Bi-GRU, the mean of both directions, averaged over the words; the triplet loss over all negatives
  with margin 0.2. The rerank after a search is in `rerank.py`.

Our inference. Objects came from a detector, and neither it nor its outputs are published. Ours come from what
the backbone knows: a linear scene head over `Maps.last`, trained with cross-entropy on the scene labels, gives
class activations at each place, and a place is an object where its likeliest class is likelier than at the
places around it. A row is the object's class activations, its projected feature and its position. How DREA
merges and weighs is unpublished too: here a row joins the most salient one whose backbone feature is nearly
the same, and A_ij = exp(-distance / REACH) * sqrt(salience_i * salience_j), rows scaled to sum 1.

Where we deviate, and why:
- the release multiplies both views with the first dynamic weight. The figure shows two, and so do we;
  `fusion="midf_released"` is the release;
- both attend over sequences of one token, where attention is 1 whatever query and key say: what remains of
  its projections is one linear map, and that is what stands here;
- the backbone is shared and frozen, and its scales meet at 6 x 6 places instead of 16 x 16;
- the graph's rows are averaged by salience: flattened as in the release, their order would matter;
- retrieval does not train the scene head, as it would not have trained a detector;
- one linear layer instead of an MLP after the words, as the weights must stay small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from rs_text_search_plugin.models.layers.losses import info_nce, triplet
from rs_text_search_plugin.models.layers.resnet50v2 import CHANNELS
from rs_text_search_plugin.models.layers.word_encoder import WORD_DIM, BiGru, WordEncoder, mean_over
from torch import Tensor, nn
from torch.nn import functional as fn

from .base import GRID, GRID_CELLS, Batch, Maps, System

_, MIDDLE, LAST = CHANNELS
FUSIONS = ("midf", "midf_released", "sum", "global", "local")
REACH = 0.5  # in sides of the image: at this distance the tie between two objects is 1/e


@dataclass(frozen=True)
class GalrSettings:
    """Ablations are `fusion` (the module that joins the branches, or one branch alone), `drea` and `loss`."""

    labels: int = 0
    """Scene classes of the training set; needed for a local branch."""
    text: str = "vectors"
    fusion: str = "midf"
    drea: bool = True
    loss: str = "triplet"
    margin: float = 0.2
    dim: int = 384
    gru: int = 384
    scales: int = 3  # maps that MVSA draws from each scale
    objects: int = 8
    feature: int = 256
    same: float = 0.6
    """Correlation of two objects' backbone features from which on they are one. Maxima lie apart: on RSICD val
    0.6 leaves 6.5 of 7.1 objects, 0.5 leaves 5.3, and 0.9 would merge none."""
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.fusion not in FUSIONS:
            raise ValueError(f"fusion is one of {FUSIONS}, not {self.fusion!r}")
        if self.loss not in ("triplet", "info_nce"):
            raise ValueError(f"loss is triplet or info_nce, not {self.loss!r}")
        if self.fusion != "global" and self.labels < 1:
            raise ValueError("a local branch needs `labels`, the number of scene classes")


class Mvsa(nn.Module):
    """Multi-scale visual self-attention: Maps -> the global vector (B, dim), of unit length."""

    def __init__(self, config: GalrSettings) -> None:
        super().__init__()
        self.lower, self.higher = nn.Linear(MIDDLE, config.scales), nn.Linear(LAST, config.scales)
        self.mask, self.attend = nn.Linear(2 * config.scales, 1), nn.Linear(2 * config.scales, 1)
        self.gate = nn.Linear(GRID_CELLS, config.dim)
        self.solo = nn.Linear(LAST, config.dim)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, middle: Tensor, last: Tensor) -> Tensor:
        """middle (B, PLACES, 512) and last (B, PLACES, 1024), both normalised -> (B, dim)."""
        higher = self.higher(last)  # (B, P, S)
        both = torch.cat([self.lower(middle), higher], 2) + higher.mean(2, keepdim=True)  # (B, P, 2S)
        mask = (self.mask(both) * self.attend(both).sigmoid()).squeeze(2)  # (B, P)
        gate = self.gate(mask).sigmoid()  # (B, D)
        return unit(self.solo(self.drop(last.mean(1))) * gate)  # (B, D)


class Objects(NamedTuple):
    """The k most salient objects of B images, in that order: rows (B, k, R), salience (B, k) in 0-1, 0 where
    there is none, and spots (B, k, 2), down and across in sides of the image."""

    rows: Tensor
    salience: Tensor
    spots: Tensor


class SalientObjects(nn.Module):
    """The stand-in for a detector: scene activations at each place, and objects at their maxima."""

    def __init__(self, config: GalrSettings) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Linear(LAST, config.labels)
        self.feature = nn.Linear(LAST, config.feature)
        self.drop = nn.Dropout(config.dropout)
        side = (torch.arange(GRID) + 0.5) / GRID
        self.register_buffer("spots", torch.cartesian_prod(side, side), persistent=False)  # (P, 2)

    def forward(self, last: Tensor) -> tuple[Objects, Tensor]:
        """last (B, PLACES, 1024), normalised -> objects, and scene activations (B, PLACES, labels)."""
        activation = self.head(last)  # (B, P, C)
        chance = activation.detach().float().softmax(2)
        cells, salience = salient_cells(chance, self.config.objects)  # (B, k) each
        seen = last.take_along_dim(cells.unsqueeze(2), 1)  # (B, k, 1024)
        feature = self.feature(self.drop(seen))  # (B, k, F)
        classes = chance.take_along_dim(cells.unsqueeze(2), 1).to(feature.dtype)  # (B, k, C)
        spots = self.spots.to(feature.dtype)[cells]  # type: ignore[index]  # (B, k, 2)
        rows = torch.cat([classes, feature, spots], 2)  # (B, k, R = C + F + 2)
        if self.config.drea:
            groups, salience = merging(seen, salience, self.config.same)  # (B, k, k), (B, k)
            rows = groups.to(rows.dtype) @ rows
        return Objects(rows, salience, rows[:, :, -2:]), activation


class GraphConvolution(nn.Module):
    """rows (B, k, inputs) and adjacency (B, k, k) -> (B, k, outputs)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Linear(inputs, outputs, bias=False)

    def forward(self, rows: Tensor, adjacency: Tensor) -> Tensor:
        return self.weight(adjacency @ rows).relu()  # type: ignore[no-any-return]  # (B, k, outputs)


class LocalBranch(nn.Module):
    """Maps.last, normalised -> the local vector (B, dim), of unit length, and the scene activations."""

    def __init__(self, config: GalrSettings) -> None:
        super().__init__()
        self.drea = config.drea
        self.objects = SalientObjects(config)
        widths = (config.labels + config.feature + 2, 256, 128, 256)
        self.graph = nn.ModuleList(GraphConvolution(*pair) for pair in pairwise(widths))
        self.out = nn.Linear(widths[-1], config.dim)

    def forward(self, last: Tensor) -> tuple[Tensor, Tensor]:
        objects, activation = self.objects(last)
        rows, adjacency = objects.rows, neighbours(objects, self.drea).to(last.dtype)
        for layer in self.graph:
            rows = layer(rows, adjacency)
        share = objects.salience / objects.salience.sum(1, keepdim=True)  # (B, k)
        return unit(self.out((share.to(rows.dtype).unsqueeze(1) @ rows).squeeze(1))), activation  # (B, D)


def salient_cells(chance: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """chance (B, PLACES, C) of each class at each place -> the `count` clearest maxima: their places and their
    salience (B, count), 0 where there are fewer.

    A place is a peak when its likeliest class is not likelier at any of the eight places around it. Equal
    maxima keep the places' order."""
    best, kind = chance.max(2)  # (B, P)
    around = fn.max_pool2d(chance.mT.reshape(len(chance), -1, GRID, GRID), 3, 1, 1)  # (B, C, G, G)
    highest = around.flatten(2).gather(1, kind.unsqueeze(1)).squeeze(1)  # (B, P)
    salience = torch.where(best >= highest, best, torch.zeros_like(best))
    salience, cells = salience.sort(stable=True, dim=1, descending=True)
    return cells[:, :count], salience[:, :count]


def merging(seen: Tensor, salience: Tensor, same: float) -> tuple[Tensor, Tensor]:
    """DREA's rows: features (B, k, F) and salience (B, k), most salient first -> weights (B, k, k) that turn
    each group of near-identical objects into its mean by salience at its leader's row and the others into
    zeros, and what is left of the salience."""
    direction = fn.normalize(seen.float(), dim=2)
    itself = torch.eye(seen.shape[1], dtype=torch.bool, device=seen.device)
    alike = (direction @ direction.mT >= same) | itself  # (B, k, k)
    leader = (alike & (salience > 0).unsqueeze(1)).int().argmax(2)  # (B, k), the first it resembles
    for _ in range(seen.shape[1].bit_length()):
        leader = leader.gather(1, leader)  # who follows a follower follows its leader
    weight = fn.one_hot(leader, seen.shape[1]).mT * salience.unsqueeze(1)  # (B, leaders, members)
    total = weight.sum(2, keepdim=True)
    return weight / total.clamp_min(1e-6), salience * (total.squeeze(2) > 0)


def neighbours(objects: Objects, drea: bool) -> Tensor:
    """-> adjacency (B, k, k), rows of objects sum to 1. DREA's falls with distance and rises with salience;
    without it all objects are equal."""
    salience, spots = objects.salience, objects.spots.float()
    strength = salience if drea else (salience > 0).to(salience.dtype)
    tie = (strength.unsqueeze(2) * strength.unsqueeze(1)).sqrt()  # (B, k, k)
    if drea:
        tie = tie * (-torch.cdist(spots, spots) / REACH).exp()
    return tie / tie.sum(2, keepdim=True).clamp_min(1e-6)


class Reading(nn.Module):
    """x (B, dim) reads itself, then its guide (B, dim) if it has one, then passes a feed-forward; every step is
    added and normalised. Without a guide it is the release's SA, with one its SGA."""

    def __init__(self, dim: int, dropout: float, guided: bool = False) -> None:
        super().__init__()
        self.own = nn.Linear(dim, dim)
        self.other = nn.Linear(dim, dim) if guided else None
        self.forth = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(dim, dim))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3 if guided else 2))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, guide: Tensor | None = None) -> Tensor:
        x = self.norms[0](x + self.drop(self.own(x)))
        if self.other is not None:
            x = self.norms[1](x + self.drop(self.other(guide)))
        return self.norms[-1](x + self.drop(self.forth(x)))  # type: ignore[no-any-return]


class Midf(nn.Module):
    """Multi-level information dynamic fusion: global and local vector (B, dim) -> (B, dim)."""

    def __init__(self, config: GalrSettings) -> None:
        super().__init__()
        dim, dropout = config.dim, config.dropout
        self.released = config.fusion == "midf_released"
        self.own_global, self.own_local = Reading(dim, dropout), Reading(dim, dropout)
        self.correction, self.supplement = Reading(dim, dropout, True), Reading(dim, dropout, True)
        steps = (nn.Linear(dim, dim), nn.Sigmoid(), nn.Dropout(2 * dropout), nn.Linear(dim, 2))
        self.weigh = nn.Sequential(*steps)

    def forward(self, whole: Tensor, local: Tensor) -> Tensor:
        whole, local = self.own_global(whole), self.own_local(local)
        local = self.correction(local, whole)
        whole = self.supplement(whole, local)
        corrected, supplemented = local.sigmoid() * whole, whole + local
        first, second = self.weigh(corrected + supplemented).softmax(1).split(1, 1)  # (B, 1) each
        return first * corrected + (first if self.released else second) * supplemented  # type: ignore[no-any-return]


class Galr(System):
    """GaLR (re-implementation)."""

    def __init__(self, vocabulary: Sequence[str], settings: Mapping[str, Any]) -> None:
        super().__init__(vocabulary, settings)
        self.config = config = GalrSettings(**settings)
        self.dim = config.dim
        self.train_heads = nn.ModuleDict()
        self.whole = Mvsa(config) if config.fusion != "local" else None
        self.local = LocalBranch(config) if config.fusion != "global" else None
        self.midf = Midf(config) if config.fusion.startswith("midf") else None
        self.word_encoder = WordEncoder(self.tokenizer, config.text, config.dropout)
        self.gru = BiGru(WORD_DIM, config.gru)
        self.sentence = nn.Linear(config.gru, config.dim)
        self.scale = nn.Parameter(torch.tensor(3.0)) if config.loss == "info_nce" else None

    def embed_images(self, maps: Maps) -> Tensor:
        return self._look(maps)[0]

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        states, mask = self.word_encoder(texts)
        forward, backward = self.gru(states, mask)  # (n, T, G) each
        return unit(self.sentence(mean_over((forward + backward) / 2, mask)).float())  # (n, D)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        images, activation = self._look(batch.maps)
        texts = self.embed_texts(batch.texts)
        if self.scale is None:
            found = {"triplet": triplet(images, texts, self.config.margin, batch.ignore_mask)}
        else:
            found = {"info_nce": info_nce(images, texts, self.scale.exp().clamp_max(100), batch.ignore_mask)}
        if activation is not None:
            found["scene"] = fn.cross_entropy(activation.float().mean(1), batch.labels)
        return found

    def _look(self, maps: Maps) -> tuple[Tensor, Tensor | None]:
        """-> unit vectors (B, dim) and, with a local branch, scene activations (B, PLACES, labels)."""
        middle, last = (fn.layer_norm(stage, stage.shape[-1:]) for stage in maps)
        parts = [self.whole(middle, last)] if self.whole is not None else []
        activation = None
        if self.local is not None:
            local, activation = self.local(last)
            parts.append(local)
        joined = self.midf(*parts) if self.midf is not None else torch.stack(parts).sum(0)  # (B, D)
        return unit(joined.float()), activation


def unit(x: Tensor) -> Tensor:
    """(..., D) -> the same, of unit length."""
    return fn.normalize(x.float(), dim=-1).to(x.dtype)
