"""MTGFE-style: two towers that propose, and a fusion encoder that looks at picture and text together.

After Zhang X. et al., "Multi-Task Guided Fusion Encoder" (MTGFE), Remote Sensing 2023, 15(18), 4637. Neither
code nor full text was to be had: this is in its style.

Theirs, as the abstract states: one joint representation of picture and text, trained with image-text matching
(ITM), masked language modelling (MLM) and a contrast of the joint representations of two views of a picture
(MVJRC); retrieval filtering, so that few pairs need the fusion encoder (filtering.py).
Our inference, after ALBEF (Li et al., NeurIPS 2021), which these parts point to: texts attend to the picture's
tokens; their first token is the joint representation; contrastive towers (ITC) below, which filter, and find a
hard wrong picture and a hard wrong text for each pair; 15 % of the words hidden, 80/10/10; InfoNCE between the
joint representations of one text with two views.
Ours, and why:
- a frozen ResNet50-V2 instead of a ViT, three layers of MiniLM instead of BERT: it has to run on a laptop.
  Everything above them starts from random weights;
- what may belong together, or is of one picture or one sentence, is never a negative: RSICD's pictures share
  captions, and ITM would be taught what is wrong;
- a hidden word becomes [UNK], as the vocabulary has no other mark; every text hides at least one;
- MLM and MVJRC see a random `share` of a batch, to be less dear;
- MVJRC also tells a text with its picture from the same text with a wrong one, else the text alone would do;
- what a word finds in the picture is multiplied by what it asked (`gated`), for matching is a product;
- all keys and values of the cross-attention depend on the picture alone and are computed once (`keys`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from .backbones import CHANNELS
from .losses import info_nce
from .pretext import drawn, hide, strangers
from .system import PLACES, Batch, Facts, FusionSystem, Maps
from .words import WORD_DIM, Words, mean_over

TOGETHER = 96
"""Texts or pairs that go through a network at once, all of about one length, so that little is padded."""


@dataclass(frozen=True)
class MtgfeSettings:
    """Shapes, and the weight of each task; a task of weight 0 is not computed."""

    text: str = "sentence"
    """Kind of the words, see words.py."""
    width: int = 256
    heads: int = 8
    dim: int = 256
    """Length of the towers' unit vectors."""
    image_layers: int = 2
    text_layers: int = 1
    fusion_layers: int = 3
    dropout: float = 0.1
    gated: bool = True
    """Whether what a word finds in the picture is multiplied by what it asked."""
    itc: float = 1.0
    itm: float = 1.0
    mlm: float = 0.5
    mvjrc: float = 0.5
    hardness: float = 20.0
    """A wrong partner is drawn in proportion to exp(hardness * similarity)."""
    hidden: float = 0.15
    """Share of the words that MLM asks for."""
    share: float = 0.35
    """Share of a batch that MLM and MVJRC see."""
    temperature: float = 0.07
    """Of MVJRC."""


class Read(NamedTuple):
    """n texts after the text encoder."""

    states: Tensor
    """(n, T, width)."""
    mask: Tensor
    """(n, T), true where there is a word piece."""
    words: Tensor
    """(n, 384), the mean state of the word layer."""

    def pick(self, rows: Tensor) -> Read:
        """Some of them, no longer than the longest."""
        mask = self.mask[rows]
        longest = int(mask.sum(1).max())
        return Read(self.states[rows, :longest], mask[:, :longest], self.words[rows])


class Attention(nn.Module):
    """x (n, T, W) looks into keys and values (n, S, 2W) where the mask (n, S) is true."""

    def __init__(self, width: int, heads: int, gated: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.ask, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.gate = nn.Linear(width, width) if gated else None

    def forward(self, x: Tensor, pair: Tensor, mask: Tensor | None) -> Tensor:
        k, v = pair.chunk(2, -1)  # (n, S, W) each
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.ask(x), k, v))
        k, v = k.to(q.dtype), v.to(q.dtype)
        where = None if mask is None else mask[:, None, None]  # (n, 1, 1, S)
        y = fn.scaled_dot_product_attention(q, k, v, attn_mask=where).transpose(1, 2).flatten(2)  # (n, T, W)
        return self.out(y if self.gate is None else y * self.gate(x))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pre-norm transformer block; `crossed` ones look at a picture between self-attention and MLP."""

    def __init__(self, settings: MtgfeSettings, widen: int, crossed: bool = False) -> None:
        super().__init__()
        width = settings.width
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if crossed else 2))
        self.pair, self.own = nn.Linear(width, 2 * width), Attention(width, settings.heads)
        self.cross = Attention(width, settings.heads, settings.gated) if crossed else None
        self.mlp = nn.Sequential(nn.Linear(width, widen * width), nn.GELU(), nn.Linear(widen * width, width))
        self.drop = nn.Dropout(settings.dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None, seen: Tensor | None = None) -> Tensor:
        y = self.norms[0](x)
        x = x + self.drop(self.own(y, self.pair(y), mask))
        if self.cross is not None and seen is not None:
            x = x + self.drop(self.cross(self.norms[2](x), seen, None))
        return x + self.drop(self.mlp(self.norms[1](x)))  # type: ignore[no-any-return]


class Mtgfe(FusionSystem):
    """The towers (`embed_images`, `embed_texts`), the fusion encoder (`keys`, `match`) and their four tasks."""

    views = 2

    def __init__(self, vocabulary: Sequence[str], settings: Mapping[str, Any]) -> None:
        super().__init__(vocabulary, settings)
        self.chosen = chosen = MtgfeSettings(**settings)
        width, self.dim = chosen.width, chosen.dim
        self.words = Words(self.tokenizer, chosen.text, chosen.dropout)
        self.norm_middle, self.norm_last = nn.LayerNorm(CHANNELS[1]), nn.LayerNorm(CHANNELS[2])
        self.middle, self.last = nn.Linear(CHANNELS[1], width), nn.Linear(CHANNELS[2], width)
        self.places = nn.Parameter(0.02 * torch.randn(PLACES, width))
        self.image = nn.ModuleList(Block(chosen, 2) for _ in range(chosen.image_layers))
        self.norm_image, self.norm_text, self.norm_joint = (nn.LayerNorm(width) for _ in range(3))
        self.enter = nn.Linear(WORD_DIM, width)
        self.text = nn.ModuleList(Block(chosen, 4) for _ in range(chosen.text_layers))
        self.image_out, self.image_straight = nn.Linear(width, self.dim), nn.Linear(CHANNELS[2], self.dim)
        self.text_out, self.text_straight = nn.Linear(width, self.dim), nn.Linear(WORD_DIM, self.dim)
        self.scale = nn.Parameter(torch.tensor(20.0).log())
        self.pairs = nn.Linear(width, chosen.fusion_layers * 2 * width)
        self.fusion = nn.ModuleList(Block(chosen, 4, crossed=True) for _ in range(chosen.fusion_layers))
        self.belongs = nn.Linear(width, 1)
        self.drop = nn.Dropout(chosen.dropout)
        self.lesson = nn.ModuleDict()

    def prepare(self, facts: Facts) -> None:
        """The heads of MLM, tied to the table its words come in through, and of MVJRC."""
        width, dim, table = self.chosen.width, self.dim, self.words.tower.words
        if self.chosen.mlm:
            widen, name = nn.Linear(width, WORD_DIM), nn.Linear(WORD_DIM, table.num_embeddings)
            name.weight = table.weight
            self.lesson["mlm"] = nn.Sequential(widen, nn.GELU(), nn.LayerNorm(WORD_DIM), name)
        if self.chosen.mvjrc:
            self.lesson["mvjrc"] = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, dim))

    def embed_images(self, maps: Maps) -> Tensor:
        """-> (B, dim) unit vectors."""
        return self._picture_vectors(self._tokens(maps), maps)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """n texts -> (n, dim) unit vectors."""
        return self._text_vectors(self.read(texts))

    def keys(self, maps: Maps) -> Tensor:
        """Keys and values of every fusion layer's cross-attention: (B, PLACES, fusion_layers * 2 * width)."""
        return self.pairs(self._tokens(maps))  # type: ignore[no-any-return]

    def match(self, keys: Tensor, texts: Sequence[str]) -> Tensor:
        """keys (P, PLACES, ...) and P texts, pair by pair -> (P,) logit that they belong together. Each distinct
        text is read once; `keys` of one picture may come expanded."""
        distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        rows = torch.tensor([distinct[text] for text in texts], device=keys.device)
        return self._logit(keys, self.read(list(distinct)).pick(rows))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The tasks whose weight is not 0."""
        chosen, tokens, read = self.chosen, self._tokens(batch.maps), self.read(batch.texts)
        likeness = torch.zeros_like(batch.unclear, dtype=torch.float32)  # (B, B)
        found: dict[str, Tensor] = {}
        if chosen.itc:
            pictures, texts = self._picture_vectors(tokens, batch.maps), self._text_vectors(read)
            likeness = (pictures @ texts.T).detach().float()
            found["itc"] = chosen.itc * info_nce(pictures, texts, self.scale.exp(), batch.unclear)
        if chosen.itm or chosen.mlm or chosen.mvjrc:
            keys = self.pairs(tokens)
        if chosen.itm:
            found["itm"] = chosen.itm * self._itm(keys, read, likeness, strangers(batch))
        if chosen.mlm:
            found["mlm"] = chosen.mlm * self._mlm(keys, batch, self._some(len(batch.texts)))
        if chosen.mvjrc:
            found["mvjrc"] = chosen.mvjrc * self._mvjrc(keys, read, batch, self._some(len(batch.texts)))
        return found

    def read(self, texts: Sequence[str]) -> Read:
        """n texts -> what both the fusion encoder and the text tower start from."""
        return self._encode(*self.tokenizer.batch(texts))

    def _encode(self, ids: Tensor, mask: Tensor) -> Read:
        order, parts = by_length(mask)
        done = [self._encode_alike(ids[rows, :longest], mask[rows, :longest]) for rows, longest in parts]
        long = [fn.pad(read.states, (0, 0, 0, mask.shape[1] - read.states.shape[1])) for read in done]
        states, words = torch.cat(long), torch.cat([read.words for read in done])
        back = order.argsort().to(states.device)
        return Read(states[back], mask.to(states.device), words[back])

    def _encode_alike(self, ids: Tensor, mask: Tensor) -> Read:
        states, mask = self.words.embed(ids, mask)
        x = self.enter(states)  # (n, T, W)
        for block in self.text:
            x = block(x, mask)
        return Read(self.norm_text(x), mask, mean_over(states, mask))

    def _tokens(self, maps: Maps) -> Tensor:
        x = self.last(self.norm_last(maps.last)) + self.middle(self.norm_middle(maps.middle)) + self.places
        x = self.drop(x)  # (B, PLACES, W)
        for block in self.image:
            x = block(x)
        return self.norm_image(x)  # type: ignore[no-any-return]

    def _picture_vectors(self, tokens: Tensor, maps: Maps) -> Tensor:
        straight = self.norm_last(maps.last).mean(1)  # (B, 1024)
        found = self.image_out(tokens.mean(1)) + self.image_straight(self.drop(straight))
        return fn.normalize(found.float(), dim=1)  # (B, dim)

    def _text_vectors(self, read: Read) -> Tensor:
        found = self.text_out(mean_over(read.states, read.mask)) + self.text_straight(self.drop(read.words))
        return fn.normalize(found.float(), dim=1)  # (n, dim)

    def _fuse(self, keys: Tensor, read: Read) -> Tensor:
        """Pair by pair -> (P, T, W)."""
        x = read.states
        for block, seen in zip(self.fusion, keys.chunk(len(self.fusion), -1), strict=True):
            x = block(x, read.mask, seen)
        return self.norm_joint(x)  # type: ignore[no-any-return]

    def _join(self, keys: Tensor, read: Read) -> Tensor:
        """Pair by pair -> the joint representation (P, W)."""
        order, parts = by_length(read.mask)
        joint = torch.cat([self._fuse(keys[rows], read.pick(rows))[:, 0] for rows, _ in parts])
        return joint[order.argsort()]

    def _logit(self, keys: Tensor, read: Read) -> Tensor:
        joint = self._join(keys, read).float()  # multiplied in full precision, or near logits would tie
        return (joint * self.belongs.weight).sum(1) + self.belongs.bias  # (P,)

    def _itm(self, keys: Tensor, read: Read, likeness: Tensor, allowed: Tensor) -> Tensor:
        """Right pairs, and with each one wrong picture and one wrong text, if there is any."""
        right = torch.arange(len(keys), device=keys.device)
        likeness = self.chosen.hardness * likeness
        text, wrong_picture = drawn(likeness.T, allowed.T)
        picture, wrong_text = drawn(likeness, allowed)
        pictures, texts = torch.cat([right, wrong_picture, picture]), torch.cat([right, text, wrong_text])
        logits = self._logit(keys[pictures], read.pick(texts))  # (3B,)
        return fn.binary_cross_entropy_with_logits(logits, (pictures == texts).float())

    def _mlm(self, keys: Tensor, batch: Batch, rows: Tensor) -> Tensor:
        """Name the words that were hidden."""
        ids, mask = self.tokenizer.batch([batch.texts[row] for row in rows.tolist()])
        asked, shown = hide(ids, self.chosen.hidden, len(self.tokenizer.vocabulary))
        fused = self._fuse(keys[rows], self._encode(shown, mask))  # (R, T, W)
        logits = self.lesson["mlm"](fused[asked.to(fused.device)])  # (asked, V)
        return fn.cross_entropy(logits.float(), ids[asked].to(logits.device))

    def _mvjrc(self, keys: Tensor, read: Read, batch: Batch, rows: Tensor) -> Tensor:
        """A text with one view of its picture finds itself with the other, among others and a wrong picture."""
        if batch.second is None:
            raise ValueError("MVJRC needs a second view of each picture")
        other, read = self.keys(Maps(*(part[rows] for part in batch.second))), read.pick(rows)
        allowed = strangers(batch)[rows][:, rows]  # (R, R)
        wrong = torch.multinomial(allowed.T.float() + 1e-9, 1).flatten()
        real = allowed.T.gather(1, wrong[:, None]).flatten()  # false where nothing is allowed
        views = (keys[rows], other, other[wrong])
        joints = [self.lesson["mvjrc"](self._join(seen, read)).float() for seen in views]  # (R, dim) each
        one, two, astray = (fn.normalize(joint, dim=1) for joint in joints)
        near = ~(allowed & allowed.T | torch.eye(len(rows), dtype=torch.bool, device=rows.device))
        scale = 1 / self.chosen.temperature
        worse = scale * ((one * astray).sum(1) - (one * two).sum(1))
        return info_nce(one, two, scale, near) + (fn.softplus(worse) * real).mean()

    def _some(self, count: int) -> Tensor:
        """Numbers of a random share of `count` rows, but two at least."""
        size = max(2, round(self.chosen.share * count))
        return torch.randperm(count)[:size].to(self.places.device)


def by_length(mask: Tensor) -> tuple[Tensor, list[tuple[Tensor, int]]]:
    """mask (n, T) -> the rows from the shortest to the longest, and the same in parts, with how long each is."""
    lengths = mask.sum(1)
    order = lengths.argsort()
    return order, [(rows, int(lengths[rows[-1]])) for rows in torch.split(order, TOGETHER)]
