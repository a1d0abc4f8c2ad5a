"""Attention of many heads over short sequences."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as fn

from .losses import MASKED_LOGIT


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """q (n, H, T, D) looks into k and v (n, H, S, D) -> (n, H, T, D).

    `mask` (n or 1, H or 1, T or 1, S): true where there is something to see, or what is added to the logits. Where
    a gradient in bf16 is wanted on a CPU the products are written out, for torch's fused kernel takes ten to twenty
    times as long for it (64 x 12 heads x 16 words on a Zen 4)."""
    needs_grad = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
    if not needs_grad or q.is_cuda or q.dtype != torch.bfloat16:
        return fn.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    near = (q @ k.transpose(2, 3)).float() / q.shape[3] ** 0.5  # (n, H, T, S)
    if mask is not None:
        near = near.masked_fill(~mask, MASKED_LOGIT) if mask.dtype == torch.bool else near + mask
    return near.softmax(3).to(v.dtype) @ v  # type: ignore[no-any-return]
