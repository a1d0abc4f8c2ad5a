"""DOVE (reconstruction): places of an image and words of a text, both drawn towards regions.

Ma, Pan, Bai, "Direction-Oriented Visual-semantic Embedding Model for Remote Sensing Image-text Retrieval",
IEEE Transactions on Geoscience and Remote Sensing 62, 2024 (arXiv 2310.08276).

No code of the authors is public. Theirs, from the abstract, from a third party's transcript of the symbols and
from the code of their sibling work SWAN (ICMR 2023):
- multi-scale places with their mean V_M, and regional features, of one frozen ResNet-50;
- ROAM: intra-modal attention (IFA) joins both to V_MR, inter-modal attention (IGA) lets regions guide the
  words to T_RG;
- DTGA: gated self-attention over each direction of a Bi-GRU, T_f * Prob(H_b) + T_b * Prob(H_f), an MLP -> F_G
  with its mean T_G. The gates sigmoid(W(W_q q * W_k k)) scale query and key;
- the loss L_rank(V_MR, T_RG) + lambda_g L_rank(V_M, T_G), margin 0.2, every negative counted.

Our inference:
- how IFA and IGA attend is unpublished. Here both are one thing: places or words ask, regions answer, and what
  they heard is added to their mean;
- Prob is a sigmoid for each feature: a softmax over 384 features would leave each word with next to nothing;
- whether regions guide words pair by pair is unpublished. docs/decisions/0007 says why the default does not.

Where we deviate, and why:
- there is no detector: instead of its boxes, learned kinds of region each gather their places of `Maps.last` by
  attention. Without an image the kinds themselves are the prototypes that guide the words;
- two scales on 6 x 6 places instead of three on 16 x 16: the maps that all systems here share;
- width 384 instead of 512, to keep the weights small;
- layer norms where SWAN has batch norms, which would let padding into the statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from rs_text_search_plugin.models.layers.attention import attend
from rs_text_search_plugin.models.layers.losses import info_nce, triplet
from rs_text_search_plugin.models.layers.word_encoder import WORD_DIM, BiGru, WordEncoder, mean_over
from torch import Tensor, nn
from torch.nn import functional as fn

from .base import Batch, Maps, System, TrainingSetInfo

MIDDLE, LAST = 512, 1024
GUIDANCE = ("prototypes", "pair", "none")
DTGA = ("both", "forward", "backward", "off")
LOSSES = ("triplet", "info_nce")
GATED_HEADS = 2


@dataclass(frozen=True)
class DoveSettings:
    """Ablations are `ifa`, `guidance`, `dtga`, `global_weight` and `loss`."""

    text: str = "vectors"
    ifa: bool = True
    """False: every region counts alike."""
    guidance: str = "prototypes"
    """"pair" trains the guidance by an image's own regions beside that by prototypes."""
    dtga: str = "both"
    """The direction that takes both parts, or "off" for the mean of both directions."""
    loss: str = "triplet"
    margin: float = 0.2
    global_weight: float = 10.0
    """lambda_g; 0 leaves the global constraint out."""
    width: int = 384
    heads: int = 6
    """Of IFA and IGA."""
    regions: int = 36
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for name, allowed in (("guidance", GUIDANCE), ("dtga", DTGA), ("loss", LOSSES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {allowed}, not {getattr(self, name)!r}")


class Offer(NamedTuple):
    """What B images bring to every pair: V_MR (B, W), keys and values of their regions, each (B, H, R, D)."""

    images: Tensor
    regions: tuple[Tensor, Tensor]


class Regions(nn.Module):
    """Normed places (B, P, 1024) -> (B, R, W): for each kind of region, what its places hold."""

    def __init__(self, regions: int, width: int) -> None:
        super().__init__()
        self.kinds = nn.Parameter(0.5 * torch.randn(regions, width))
        self.key, self.value = nn.Linear(LAST, width), nn.Linear(LAST, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, cells: Tensor) -> Tensor:
        keys = self.key(cells).transpose(1, 2)  # (B, W, P)
        shares = (self.kinds @ keys / keys.shape[1] ** 0.5).float().softmax(-1)  # (B, R, P)
        return self.norm(self.kinds + shares.to(keys.dtype) @ self.value(cells))  # type: ignore[no-any-return]

    def prototypes(self) -> Tensor:
        """(1, R, W), the regions of no image."""
        return self.norm(self.kinds)[None]  # type: ignore[no-any-return]


class Guide(nn.Module):
    """Places or words (n, T, W) ask, regions answer -> (n, W), the mean over what each one heard."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ask, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def offer(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """(B, R, W) -> keys and values, each (B, H, R, D)."""
        return _heads(self.key(regions), self.heads), _heads(self.value(regions), self.heads)

    def forward(self, states: Tensor, mask: Tensor, offer: tuple[Tensor, Tensor]) -> Tensor:
        """Each row is answered by its own regions, or all by the same when B is 1."""
        keys, values = offer
        scores = self._asked(states) @ keys.transpose(2, 3)  # (n, H, T, R)
        shares = _attention(scores, mask[:, None], values.dtype)  # (n, H, R)
        return (shares[:, :, None] @ values).flatten(1)  # (n, H, 1, D) -> (n, W)

    def pairs(self, states: Tensor, mask: Tensor, offer: tuple[Tensor, Tensor]) -> Tensor:
        """Every row of states is answered by the regions of every image -> (B, n, W)."""
        keys, values = offer
        scores = torch.einsum("nhtd,bhrd->bnhtr", self._asked(states), keys)
        shares = _attention(scores, mask[None, :, None], values.dtype)  # (B, n, H, R)
        return torch.einsum("bnhr,bhrd->bnhd", shares, values).flatten(2)  # (B, n, W)

    def _asked(self, states: Tensor) -> Tensor:
        return _heads(self.ask(states) * (states.shape[-1] // self.heads) ** -0.5, self.heads)  # (n, H, T, D)


def _attention(scores: Tensor, mask: Tensor, kind: torch.dtype) -> Tensor:
    """scores (..., T, R) and mask (..., T) -> (..., R), how much each region is listened to on average."""
    weight = mask.float() / mask.sum(-1, keepdim=True)  # (..., T)
    return (scores.float().softmax(-1) * weight.unsqueeze(-1)).sum(-2).to(kind)


def _heads(x: Tensor, heads: int) -> Tensor:
    """(n, T, W) -> (n, heads, T, W / heads)."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


class Gated(nn.Module):
    """Self-attention over the words (n, T, W) whose queries and keys open gates for each other."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        part = width // GATED_HEADS
        self.ask, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.of_ask, self.of_key = nn.Linear(part, part), nn.Linear(part, part)
        self.gate = nn.Linear(part, 2 * part)
        self.norm = nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        # (n, T, W) -> (n, H, T, D) and back
        q, k, v = (_heads(layer(words), GATED_HEADS) for layer in (self.ask, self.key, self.value))
        for_q, for_k = self.gate(self.of_ask(q) * self.of_key(k)).sigmoid().chunk(2, -1)  # (n, H, T, D)
        found = attend(q * for_q, k * for_k, v, mask[:, None, None])
        return words + self.drop(self.norm(found.transpose(1, 2).flatten(2)))  # type: ignore[no-any-return]


class Dtga(nn.Module):
    """Forward and backward states (n, T, W) -> F_G (n, T, W): each direction, attended, weighs the other."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.forwards, self.backwards = Gated(width, dropout), Gated(width, dropout)
        self.mlp = _mlp(width, dropout)

    def forward(self, ahead: Tensor, back: Tensor, mask: Tensor) -> Tensor:
        crossed = self.forwards(ahead, mask) * back.sigmoid() + self.backwards(back, mask) * ahead.sigmoid()
        return self.mlp(crossed)  # type: ignore[no-any-return]


def _mlp(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width))


class Head(nn.Module):
    """(..., W) -> (..., W), the last step into the common space."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mlp = _mlp(width, dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return x + self.mlp(x)  # type: ignore[no-any-return]


class Dove(System):
    """Images are V_MR, texts are T_RG guided by prototypes; `pair_similarity` guides them by the images."""

    def __init__(self, vocabulary: Sequence[str], settings: Mapping[str, Any]) -> None:
        super().__init__(vocabulary, settings)
        chosen = self.chosen = DoveSettings(**settings)
        self.dim = width = chosen.width
        self.norm_middle, self.norm_last = nn.LayerNorm(MIDDLE), nn.LayerNorm(LAST)
        self.multi = nn.Linear(MIDDLE + LAST, width)
        self.regions = Regions(chosen.regions, width)
        self.ifa = Guide(width, chosen.heads) if chosen.ifa else None
        self.picture = Head(width, chosen.dropout)
        self.word_encoder = WordEncoder(self.tokenizer, chosen.text, chosen.dropout)
        self.gru = BiGru(WORD_DIM, width)
        self.dtga = None if chosen.dtga == "off" else Dtga(width, chosen.dropout)
        self.iga = None if chosen.guidance == "none" else Guide(width, chosen.heads)
        self.sentence = Head(width, chosen.dropout)
        self.sharpness = nn.Parameter(torch.tensor(3.0)) if chosen.loss == "info_nce" else None
        self.drop = nn.Dropout(chosen.dropout)
        self.train_heads = nn.ModuleDict()

    def prepare(self, info: TrainingSetInfo) -> None:
        """What turns V_M into the common space; only the global constraint looks at it."""
        if self.chosen.global_weight:
            self.train_heads["whole"] = nn.Linear(self.dim, self.dim)

    def embed_images(self, maps: Maps) -> Tensor:
        """V_MR, (B, dim) unit vectors."""
        return self._picture(*self.look(maps))

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """T_RG under the prototypes, (n, dim) unit vectors."""
        return self.guided(*self.read(texts))

    def pair_similarity(self, maps: Maps, texts: Sequence[str]) -> Tensor:
        """Cosine of each image with each text that this very image guides, (B, n). Takes memory for
        B * n * heads * words * regions numbers. Raises ValueError when nothing guides."""
        return self.similarity(self.offer(maps), *self.read(texts))

    def offer(self, maps: Maps) -> Offer:
        """The images' half of `pair_similarity`. Raises ValueError when nothing guides."""
        multi, regions = self.look(maps)
        return Offer(self._picture(multi, regions), self._guide().offer(regions))

    def similarity(self, offer: Offer, words: Tensor, mask: Tensor) -> Tensor:
        """The rest of `pair_similarity`: B images and n texts as `read` gives them -> (B, n)."""
        heard = self._guide().pairs(words, mask, offer.regions)  # (B, n, W)
        texts = _unit(self.sentence(mean_over(words, mask) + heard))
        return (texts * offer.images[:, None]).sum(-1)  # (B, n)

    def guided(self, words: Tensor, mask: Tensor) -> Tensor:
        """T_RG under the prototypes of n texts as `read` gives them, (n, W)."""
        meant = mean_over(words, mask)  # T_G (n, W)
        if self.iga is not None:
            meant = meant + self.iga(words, mask, self.iga.offer(self.regions.prototypes()))
        return _unit(self.sentence(meant))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        multi, regions = self.look(batch.maps)
        words, mask = self.read(batch.texts)
        images = self._picture(multi, regions)
        found = {"rank": self._rank(images, self.guided(words, mask), batch.ignore_mask)}
        if self.chosen.guidance == "pair":
            # (B, B), which as vectors over the texts is itself
            similarity = self.similarity(Offer(images, self._guide().offer(regions)), words, mask)
            found["pair"] = self._rank(
                similarity, torch.eye(len(images), device=images.device), batch.ignore_mask
            )
        if self.chosen.global_weight:
            whole = _unit(self.train_heads["whole"](multi.mean(1)))  # V_M (B, W)
            constraint = self._rank(whole, _unit(mean_over(words, mask)), batch.ignore_mask)
            found["global"] = self.chosen.global_weight * constraint
        return found

    def look(self, maps: Maps) -> tuple[Tensor, Tensor]:
        """Both scales at each place of B images, (B, PLACES, W), and their regions, (B, R, W)."""
        kind = self.norm_last.weight.dtype
        middle, last = self.norm_middle(maps.middle.to(kind)), self.norm_last(maps.last.to(kind))
        both = self.drop(torch.cat([middle, last], -1))  # (B, PLACES, 1536)
        return fn.gelu(self.multi(both)), self.regions(both[..., MIDDLE:])

    def read(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """F_G of n texts, (n, T, W), and where there are words, (n, T)."""
        states, mask = self.word_encoder(texts)
        ahead, back = self.gru(states, mask)  # (n, T, W) each
        if self.dtga is None:
            return (ahead + back) / 2, mask
        one = {"forward": (ahead, ahead), "backward": (back, back), "both": (ahead, back)}[self.chosen.dtga]
        return self.dtga(*one, mask), mask

    def _picture(self, multi: Tensor, regions: Tensor) -> Tensor:
        heard = regions.mean(1)  # (B, W)
        if self.ifa is not None:
            everywhere = torch.ones(multi.shape[:2], dtype=torch.bool, device=multi.device)
            heard = self.ifa(multi, everywhere, self.ifa.offer(regions))
        return _unit(self.picture(multi.mean(1) + heard))

    def _guide(self) -> Guide:
        if self.iga is None:
            raise ValueError('regions do not guide words with guidance "none"')
        return self.iga

    def _rank(self, images: Tensor, texts: Tensor, ignore_mask: Tensor) -> Tensor:
        if self.sharpness is None:
            return triplet(images, texts, self.chosen.margin, ignore_mask)
        return info_nce(images, texts, self.sharpness.exp().clamp_max(100), ignore_mask)


def _unit(x: Tensor) -> Tensor:
    return fn.normalize(x.float(), dim=-1)
