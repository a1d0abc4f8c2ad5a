"""MTGFE-style: a reranking at an image with a text in mind, and a fusion encoder that decides.

After Zhang X. et al., "Multi-Task Guided Fusion Encoder" (MTGFE), Remote Sensing 2023, 15(18), 4637. Neither
code nor full text was to be had: this is in its style.

Theirs, as the abstract states: one joint representation of image and text, trained with image-text matching
(ITM), masked language modelling (MLM) and a contrast of the joint representations of two views of an image
(MVJRC); retrieval filtering, so that few pairs need the fusion encoder (filtering.py).
Our inference, after ALBEF (Li et al., NeurIPS 2021), which these parts point to: texts attend to the image's
tokens; their first token is the joint representation; both sides are aligned before they are fused, and what is
aligned finds hard wrong images and texts for each pair; 15 % of the words hidden, 80/10/10; InfoNCE between the
joint representations of one text with two views.
Ours, and why:
- the towers that filter are those of `compact`, and stay as they are, word states too: it has to run on a laptop;
- reranking has an image encoder of its own, a MobileNetV2 trained whole with the tasks. Fusion encoders over what the
  towers' backbone had computed ranked no better than the towers: what those had missed was lost to them;
- alignment is by words (alignment.py). A pair's score is what alignment says plus what the fusion encoder adds, and
  ITM is a choice among a right pair and several hard ones instead of yes or no for each;
- what may belong together, or is of one image or one sentence, is never a negative: RSICD's images share
  captions, and ITM would be taught what is wrong;
- a hidden word becomes [UNK], as the vocabulary has no other mark; every text hides at least one;
- MLM and MVJRC take a `share` of a batch, to cost less;
- MVJRC also tells a text with its image from the same text with a wrong one, else the text alone would do;
- what a word finds in the image is multiplied by what it asked (`gated`), for matching is a product;
- all keys and values of the cross-attention depend on the image alone and are computed once (`keys`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from rs_text_search_plugin.models.layers.attention import attend
from rs_text_search_plugin.models.layers.late_interaction import AlignedText, Alignment
from rs_text_search_plugin.models.layers.losses import info_nce, symmetric_cross_entropy
from rs_text_search_plugin.models.layers.minilm import batches_by_length
from rs_text_search_plugin.models.layers.mobilenetv2 import LAST, MIDDLE, MobileNetV2
from rs_text_search_plugin.models.layers.word_encoder import WORD_DIM
from torch import Tensor, nn
from torch.nn import functional as fn

from .base import Batch, FusionSystem, Maps, TrainingSetInfo, pool_grid, share_of, text_batches
from .compact import Compact
from .masking import certain_negatives, drawn, hide


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
    """Whether what a word finds in the image is multiplied by what it asked."""
    itm: float = 1.0
    mlm: float = 0.5
    mvjrc: float = 0.5
    wrong: int = 3
    """Wrong images for each text, and wrong texts for each image, drawn in proportion to exp(alignment)."""
    hidden: float = 0.15
    """Share of the words that MLM asks for."""
    share: float = 0.25
    """Share of a batch that MLM and MVJRC take."""
    dim: int = 256
    """Length of the unit vectors of alignment and of MVJRC."""
    temperature: float = 0.07
    """Of MVJRC."""


class Read(NamedTuple):
    """n texts, ready to be aligned and fused."""

    text: AlignedText
    states: Tensor
    """(n, T, width)."""
    mask: Tensor
    """(n, T), true where there is a word piece."""

    def pick(self, rows: Tensor) -> Read:
        """Some of them, no longer than the longest."""
        mask = self.mask[rows]
        longest = int(mask.sum(1).max())
        text = AlignedText(
            *(part.index_select(0, rows) for part in self.text)
        )  # quicker backward than part[rows]
        text = AlignedText(text.words[:, :longest], text.shares[:, :longest], text.whole)
        return Read(text, self.states.index_select(0, rows)[:, :longest], mask[:, :longest])


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
        y = attend(q, k.to(q.dtype), v.to(q.dtype), None if mask is None else mask[:, None, None])
        y = y.transpose(1, 2).flatten(2)  # (n, T, W)
        return self.out(y if self.gate is None else y * self.gate(x))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Pre-norm transformer layer that attends to an image between self-attention and MLP."""

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
    """`compact`'s towers (`embed_images`, `embed_texts`), the reranking (`encode_image`), what comes of it (`keys`,
    `pair_logits`) and the tasks."""

    frozen = ("image_head", "text", "text_head")
    half_precision_parts = ("image_encoder",)  # 8 bits cost a third of a point of mR, 16 cost 2 MB

    def __init__(self, vocabulary: Sequence[str], settings: Mapping[str, Any]) -> None:
        self.chosen = chosen = MtgfeSettings(**settings)
        super().__init__(vocabulary, chosen.towers)
        self.settings = {**asdict(chosen), "towers": self.settings}
        self.second_view = chosen.share if chosen.mvjrc else 0.0
        width = chosen.width
        self.image_encoder = MobileNetV2()
        self.norm_middle, self.norm_last = nn.LayerNorm(MIDDLE), nn.LayerNorm(LAST)
        self.middle, self.last = nn.Linear(MIDDLE, width), nn.Linear(LAST, width)
        self.norm_token = nn.LayerNorm(width)
        self.align = Alignment(WORD_DIM, width, chosen.dim, chosen.dropout)
        self.pairs = nn.Linear(width, chosen.layers * 2 * width)
        self.enter = nn.Sequential(nn.Linear(WORD_DIM, width), nn.LayerNorm(width))
        self.fusion = nn.ModuleList(Layer(chosen) for _ in range(chosen.layers))
        self.norm_joint = nn.LayerNorm(width)
        self.belongs = nn.Linear(width, 1)
        self.drop = nn.Dropout(chosen.dropout)
        self.train_heads = nn.ModuleDict()

    def prepare(self, info: TrainingSetInfo) -> None:
        """The heads of MLM, tied to the table its words come in through, and of MVJRC."""
        width, dim, table = self.chosen.width, self.chosen.dim, self.text.word_embedding
        train_heads = nn.ModuleDict()
        if self.chosen.mlm:
            widen, name = nn.Linear(width, WORD_DIM), nn.Linear(WORD_DIM, table.num_embeddings)
            name.weight = table.weight
            train_heads["mlm"] = nn.Sequential(widen, nn.GELU(), nn.LayerNorm(WORD_DIM), name)
        if self.chosen.mvjrc:
            train_heads["mvjrc"] = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, dim))
        self.train_heads = train_heads

    def image_parameters(self) -> list[nn.Parameter]:
        """Its own image encoder."""
        return list(self.image_encoder.parameters())

    def encode_image(self, x: Tensor) -> Maps:
        """-> (B, places, 96) and (B, places, 1280)."""
        middle, last = self.image_encoder(x)
        return pool_grid(middle, last, side=1)

    def image_keys(self, maps: Maps) -> Tensor:
        """For the whole image and each place, unit vectors for alignment, then keys and values of every layer's
        cross-attention: (B, 1 + places, dim + layers * 2 * width)."""
        last, middle = self.norm_last(maps.last), self.norm_middle(maps.middle)
        tokens = self.last(self.drop(last)) + self.middle(self.drop(middle))  # (B, S, W)
        tokens = self.norm_token(torch.cat([tokens.mean(1, keepdim=True), tokens], 1))  # (B, 1 + S, W)
        return torch.cat([self.align.encode_tokens(tokens), self.pairs(self.drop(tokens))], 2)

    def pair_logits(self, keys: Tensor, texts: Sequence[str]) -> Tensor:
        """keys (P, ...) and P texts, pair by pair -> (P,), what alignment says and the fusion encoder adds. Each
        distinct text is read once; `keys` of one image may come expanded."""
        distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        rows = torch.tensor([distinct[text] for text in texts], device=keys.device)
        read, pictures = self.read(list(distinct)), torch.arange(len(keys), device=keys.device)
        aligned = self.align.pairs(keys[..., : self.chosen.dim], read.pick(rows).text)
        return aligned + self._added(keys, pictures, read, rows)

    def similarity_matrix(self, maps: Iterable[Maps], texts: Sequence[str]) -> Tensor:
        """What alignment says of all pairs."""
        tokens = torch.cat([self.image_keys(some)[..., : self.chosen.dim] for some in maps])
        parts = [self.align.all_pairs(tokens, self.read(some).text) for some in text_batches(texts)]
        return torch.cat([by_words + by_whole for by_words, by_whole in parts], 1)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Alignment, and the tasks whose weight is not 0."""
        chosen, keys, read = self.chosen, self.image_keys(batch.maps), self.read(batch.texts)
        by_words, by_whole = self.align.all_pairs(keys[..., : chosen.dim], read.text)  # (B, B) each
        found = {
            "align": (
                symmetric_cross_entropy(by_words, batch.ignore_mask)
                + symmetric_cross_entropy(by_whole, batch.ignore_mask)
            )
            / 2
        }
        if chosen.itm:
            aligned = (by_words + by_whole).detach()
            found["itm"] = chosen.itm * self._itm(keys, read, aligned, certain_negatives(batch))
        some = torch.arange(share_of(len(batch.texts), chosen.share), device=keys.device)
        if chosen.mlm:
            found["mlm"] = chosen.mlm * self._mlm(keys, batch, some)
        if chosen.mvjrc:
            found["mvjrc"] = chosen.mvjrc * self._mvjrc(keys, batch, read.pick(some))
        return found

    def read(self, texts: Sequence[str]) -> Read:
        """n texts -> what alignment and the fusion encoder start from."""
        return self._read(*self.tokenizer.batch(texts))

    def _read(self, ids: Tensor, mask: Tensor) -> Read:
        states, mask = self._states(ids, mask)
        return Read(self.align.encode_texts(states, mask), self.drop(self.enter(states)), mask)

    @torch.no_grad()
    def _states(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(n, T) each -> what the text tower makes of every piece, (n, T, 384), and the mask on its device."""
        device = self.text.word_embedding.weight.device
        ids, mask = ids.to(device), mask.to(device)
        order, parts = batches_by_length(mask)
        done = [self.text.states(ids[rows, :longest], mask[rows, :longest]) for rows, longest in parts]
        long = [fn.pad(states, (0, 0, 0, mask.shape[1] - states.shape[1])) for states in done]
        return torch.cat(long)[order.argsort()], mask

    def _fuse(self, keys: Tensor, read: Read) -> Tensor:
        """Pair by pair -> (P, T, W)."""
        x, fused = read.states, keys[..., self.chosen.dim :]
        for layer, seen in zip(self.fusion, fused.chunk(len(self.fusion), -1), strict=True):
            x = layer(x, read.mask, seen)
        return self.norm_joint(x)  # type: ignore[no-any-return]

    def _join(self, keys: Tensor, pictures: Tensor, read: Read, texts: Tensor) -> Tensor:
        """Numbers of images (P,) and of texts (P,) -> the joint representations (P, W)."""
        order, parts = batches_by_length(read.mask[texts])
        joint = torch.cat([
            self._fuse(keys.index_select(0, pictures[rows]), read.pick(texts[rows]))[:, 0] for rows, _ in parts
        ])  # fmt: skip
        return joint[order.argsort()]

    def _added(self, keys: Tensor, pictures: Tensor, read: Read, texts: Tensor) -> Tensor:
        joint = self._join(keys, pictures, read, texts).float()  # in full precision, or near logits would tie
        return (joint * self.belongs.weight).sum(1) + self.belongs.bias  # (P,)

    def _itm(self, keys: Tensor, read: Read, aligned: Tensor, allowed: Tensor) -> Tensor:
        """Of a text and some images, and of an image and some texts, which belong together?

        What alignment says has no part in the choice, for it drew the wrong ones: of alternatives drawn in proportion
        to exp(aligned), the softmax of what is added estimates that of the sum over all (Bengio & Senecal 2003)."""
        right, wrong = torch.arange(len(keys), device=keys.device), self.chosen.wrong
        text, wrong_pictures = drawn(aligned.T, allowed.T, wrong)  # (t,) and (t, wrong)
        picture, wrong_texts = drawn(aligned, allowed, wrong)  # (p,) and (p, wrong)
        pictures = torch.cat([right, wrong_pictures.flatten(), picture.repeat_interleave(wrong)])
        texts = torch.cat([right, text.repeat_interleave(wrong), wrong_texts.flatten()])
        scores = self._added(keys, pictures, read, texts)
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
        asked, tokens = hide(ids, self.chosen.hidden, len(self.tokenizer.vocabulary))
        fused = self._fuse(keys[rows], self._read(tokens, mask))  # (R, T, W)
        logits = self.train_heads["mlm"](fused[asked.to(fused.device)])  # (asked, V)
        return fn.cross_entropy(logits.float(), ids[asked].to(logits.device))

    def _mvjrc(self, keys: Tensor, batch: Batch, read: Read) -> Tensor:
        """Each of the first texts with one view of its image finds itself with the other, among others and a wrong
        image."""
        if batch.second_view is None:
            raise ValueError("MVJRC needs a second view of some pictures")
        count = len(read.mask)
        other = self.image_keys(batch.second_view)[:count]
        allowed = certain_negatives(batch)[:count, :count]
        wrong = torch.multinomial(allowed.T.float() + 1e-9, 1).flatten()
        real = allowed.T.gather(1, wrong[:, None]).flatten()  # false where nothing is allowed
        own = torch.arange(count, device=keys.device)
        views = ((keys, own), (other, own), (other, wrong))
        joints = [
            self.train_heads["mvjrc"](self._join(*seen, read, own)).float() for seen in views
        ]  # (R, dim) each
        one, two, astray = (fn.normalize(joint, dim=1) for joint in joints)
        near = ~(allowed & allowed.T | torch.eye(count, dtype=torch.bool, device=keys.device))
        scale = 1 / self.chosen.temperature
        worse = scale * ((one * astray).sum(1) - (one * two).sum(1))
        return info_nce(one, two, scale, near) + (fn.softplus(worse) * real).mean()
