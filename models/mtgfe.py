"""MTGFE-style: a fusion encoder over two towers, which looks at picture and text together.

After Zhang X. et al., "Multi-Task Guided Fusion Encoder" (MTGFE), Remote Sensing 2023, 15(18), 4637. Neither
code nor full text was to be had: this is in its style.

Theirs, as the abstract states: one joint representation of picture and text, trained with image-text matching
(ITM), masked language modelling (MLM) and a contrast of the joint representations of two views of a picture
(MVJRC); retrieval filtering, so that few pairs need the fusion encoder (filtering.py).
Our inference, after ALBEF (Li et al., NeurIPS 2021), which these parts point to: texts attend to the picture's
tokens; their first token is the joint representation; two towers below, which filter, and which find hard
wrong pictures and texts for each pair; 15 % of the words hidden, 80/10/10; InfoNCE between the joint
representations of one text with two views.
Ours, and why:
- the towers are those of `compact`, and stay as they are: a ResNet50-V2 instead of a ViT, three layers of MiniLM
  instead of BERT, for it has to run on a laptop. The fusion encoder begins with random weights;
- matching corrects the towers instead of starting anew: a pair's score is `trust` times its cosine plus what the
  fusion encoder adds, and a right pair has to stand above several hard ones (a softmax over all of them instead
  of yes or no for each). Yes or no without the cosine ranked worse than the towers alone, even on pictures it
  was trained with;
- what may belong together, or is of one picture or one sentence, is never a negative: RSICD's pictures share
  captions, and ITM would be taught what is wrong;
- a hidden word becomes [UNK], as the vocabulary has no other mark; every text hides at least one;
- MLM and MVJRC see a random `share` of a batch, to be less dear;
- MVJRC also tells a text with its picture from the same text with a wrong one, else the text alone would do;
- what a word finds in the picture is multiplied by what it asked (`gated`), for matching is a product;
- all keys and values of the cross-attention depend on the picture alone and are computed once (`keys`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from .compact import Compact
from .losses import info_nce
from .pretext import drawn, hide, strangers
from .system import Batch, Facts, FusionSystem, Maps
from .text import by_length
from .words import WORD_DIM, mean_over


@dataclass(frozen=True)
class MtgfeSettings:
    """Shapes, and the weight of each task; a task of weight 0 is not computed."""

    towers: Mapping[str, int] = field(default_factory=dict)
    """Settings of the towers, see compact.py."""
    width: int = 256
    heads: int = 8
    layers: int = 2
    dropout: float = 0.1
    gated: bool = True
    """Whether what a word finds in the picture is multiplied by what it asked."""
    itm: float = 1.0
    mlm: float = 0.5
    mvjrc: float = 0.5
    trust: float = 25.0
    """What the towers' cosine counts in ITM; less than towers learn it with, which know the training pictures
    better than they will know others."""
    wrong: int = 4
    """Wrong pictures for each text, and wrong texts for each picture."""
    hardness: float = 15.0
    """A wrong partner is drawn in proportion to exp(hardness * cosine)."""
    hidden: float = 0.15
    """Share of the words that MLM asks for."""
    share: float = 0.25
    """Share of a batch that MLM and MVJRC see."""
    dim: int = 256
    """Length of the unit vectors of MVJRC."""
    temperature: float = 0.07
    """Of MVJRC."""


class Read(NamedTuple):
    """n texts, ready for the fusion encoder."""

    states: Tensor
    """(n, T, width)."""
    mask: Tensor
    """(n, T), true where there is a word piece."""

    def pick(self, rows: Tensor) -> Read:
        """Some of them, no longer than the longest."""
        mask = self.mask[rows]
        longest = int(mask.sum(1).max())
        return Read(self.states[rows, :longest], mask[:, :longest])


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


class Layer(nn.Module):
    """Pre-norm transformer layer that looks at a picture between self-attention and MLP."""

    def __init__(self, settings: MtgfeSettings) -> None:
        super().__init__()
        width, heads = settings.width, settings.heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.pair, self.own = nn.Linear(width, 2 * width), Attention(width, heads)
        self.cross = Attention(width, heads, settings.gated)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.drop = nn.Dropout(settings.dropout)

    def forward(self, x: Tensor, mask: Tensor, seen: Tensor) -> Tensor:
        y = self.norms[0](x)
        x = x + self.drop(self.own(y, self.pair(y), mask))
        x = x + self.drop(self.cross(self.norms[1](x), seen, None))
        return x + self.drop(self.mlp(self.norms[2](x)))  # type: ignore[no-any-return]


class Mtgfe(Compact, FusionSystem):
    """`compact`'s towers (`embed_images`, `embed_texts`), the fusion encoder (`keys`, `match`) and its tasks."""

    views = 2
    still = ("image_head", "text", "text_head")

    def __init__(self, vocabulary: Sequence[str], settings: Mapping[str, Any]) -> None:
        self.chosen = chosen = MtgfeSettings(**settings)
        super().__init__(vocabulary, chosen.towers)
        self.settings = {**asdict(chosen), "towers": self.settings}
        width = chosen.width
        seen, keys = self.image_head.norm.normalized_shape[0], chosen.layers * 2 * width
        self.pairs = nn.Linear(seen, keys)
        self.enter = nn.Sequential(nn.Linear(WORD_DIM, width), nn.LayerNorm(width))
        self.fusion = nn.ModuleList(Layer(chosen) for _ in range(chosen.layers))
        self.norm_joint = nn.LayerNorm(width)
        self.belongs = nn.Linear(width, 1)
        self.drop = nn.Dropout(chosen.dropout)
        self.lesson = nn.ModuleDict()

    def prepare(self, facts: Facts) -> None:
        """The heads of MLM, tied to the table its words come in through, and of MVJRC."""
        width, dim, table = self.chosen.width, self.chosen.dim, self.text.words
        lesson = nn.ModuleDict()
        if self.chosen.mlm:
            widen, name = nn.Linear(width, WORD_DIM), nn.Linear(WORD_DIM, table.num_embeddings)
            name.weight = table.weight
            lesson["mlm"] = nn.Sequential(widen, nn.GELU(), nn.LayerNorm(WORD_DIM), name)
        if self.chosen.mvjrc:
            lesson["mvjrc"] = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, dim))
        self.lesson = lesson

    def keys(self, maps: Maps) -> Tensor:
        """Keys and values of every layer's cross-attention: (B, 37, layers * 2 * width)."""
        return self._keys(self._look(maps)[0])

    def match(self, keys: Tensor, texts: Sequence[str]) -> Tensor:
        """keys (P, 37, ...) and P texts, pair by pair -> (P,), what the fusion encoder adds to `trust` times their
        cosine. Each distinct text is read once; `keys` of one picture may come expanded."""
        distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        rows = torch.tensor([distinct[text] for text in texts], device=keys.device)
        return self._logit(keys, self.read(list(distinct)).pick(rows))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The tasks whose weight is not 0."""
        chosen, found = self.chosen, {}
        tokens, images = self._look(batch.maps)
        keys = self._keys(tokens)
        if chosen.itm:
            states, mask = self._states(*self.tokenizer.batch(batch.texts))
            with torch.no_grad():
                texts = fn.normalize(self.text_head(mean_over(states, mask)).float(), dim=1)  # (B, dim)
            read = Read(self.drop(self.enter(states)), mask)
            found["itm"] = chosen.itm * self._itm(keys, read, images @ texts.T, strangers(batch))
        if chosen.mlm:
            found["mlm"] = chosen.mlm * self._mlm(keys, batch, self._some(len(batch.texts)))
        if chosen.mvjrc:
            found["mvjrc"] = chosen.mvjrc * self._mvjrc(keys, batch, self._some(len(batch.texts)))
        return found

    def read(self, texts: Sequence[str]) -> Read:
        """n texts -> what the fusion encoder starts from."""
        return self._encode(*self.tokenizer.batch(texts))

    def _encode(self, ids: Tensor, mask: Tensor) -> Read:
        states, mask = self._states(ids, mask)
        return Read(self.drop(self.enter(states)), mask)

    @torch.no_grad()
    def _states(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(n, T) each -> what the text tower makes of every piece, (n, T, 384), and the mask on its device."""
        device = self.text.words.weight.device
        ids, mask = ids.to(device), mask.to(device)
        order, parts = by_length(mask)
        done = [self.text.states(ids[rows, :longest], mask[rows, :longest]) for rows, longest in parts]
        long = [fn.pad(states, (0, 0, 0, mask.shape[1] - states.shape[1])) for states in done]
        return torch.cat(long)[order.argsort()], mask

    @torch.no_grad()
    def _look(self, maps: Maps) -> tuple[Tensor, Tensor]:
        """What the image tower sees, (B, 37, 384), and its unit vectors (B, dim)."""
        normed = self.image_head.norm_tokens(maps.last)
        tokens = self.image_head.look(normed, maps.middle.mean(1))
        return tokens, fn.normalize(self.image_head.pool(tokens, normed).float(), dim=1)

    def _keys(self, tokens: Tensor) -> Tensor:
        return self.pairs(self.drop(tokens))  # type: ignore[no-any-return]

    def _fuse(self, keys: Tensor, read: Read) -> Tensor:
        """Pair by pair -> (P, T, W)."""
        x = read.states
        for layer, seen in zip(self.fusion, keys.chunk(len(self.fusion), -1), strict=True):
            x = layer(x, read.mask, seen)
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
        """Of a text and some pictures, and of a picture and some texts, which belong together?"""
        right, wrong = torch.arange(len(keys), device=keys.device), self.chosen.wrong
        hard = self.chosen.hardness * likeness
        text, wrong_pictures = drawn(hard.T, allowed.T, wrong)  # (t,) and (t, wrong)
        picture, wrong_texts = drawn(hard, allowed, wrong)  # (p,) and (p, wrong)
        pictures = torch.cat([right, wrong_pictures.flatten(), picture.repeat_interleave(wrong)])
        texts = torch.cat([right, text.repeat_interleave(wrong), wrong_texts.flatten()])
        scores = self._logit(keys[pictures], read.pick(texts)) + self.chosen.trust * likeness[pictures, texts]
        fit, of_text, of_picture = torch.split(
            scores, [len(right), wrong_pictures.numel(), wrong_texts.numel()]
        )
        asked = torch.cat([
            torch.cat([fit[text, None], of_text.view(-1, wrong)], 1),
            torch.cat([fit[picture, None], of_picture.view(-1, wrong)], 1),
        ])  # (t + p, 1 + wrong)  # fmt: skip
        first = torch.zeros(len(asked), dtype=torch.long, device=keys.device)
        return fn.cross_entropy(asked, first, reduction="sum") / max(1, len(asked))

    def _mlm(self, keys: Tensor, batch: Batch, rows: Tensor) -> Tensor:
        """Name the words that were hidden."""
        ids, mask = self.tokenizer.batch([batch.texts[row] for row in rows.tolist()])
        asked, shown = hide(ids, self.chosen.hidden, len(self.tokenizer.vocabulary))
        fused = self._fuse(keys[rows], self._encode(shown, mask))  # (R, T, W)
        logits = self.lesson["mlm"](fused[asked.to(fused.device)])  # (asked, V)
        return fn.cross_entropy(logits.float(), ids[asked].to(logits.device))

    def _mvjrc(self, keys: Tensor, batch: Batch, rows: Tensor) -> Tensor:
        """A text with one view of its picture finds itself with the other, among others and a wrong picture."""
        if batch.second is None:
            raise ValueError("MVJRC needs a second view of each picture")
        other = self.keys(Maps(*(part[rows] for part in batch.second)))
        read = self.read([batch.texts[row] for row in rows.tolist()])
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
        return torch.randperm(count)[:size].to(self.belongs.weight.device)
