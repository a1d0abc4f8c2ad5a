import pytest
import torch
from rs_text_search_plugin.models.layers.attention import attend
from torch.nn import functional as fn


def drawn(kind=torch.bfloat16):
    draw = torch.Generator().manual_seed(0)
    q = torch.randn(3, 2, 5, 8, generator=draw).to(kind).requires_grad_()
    k, v = (torch.randn(3, 2, 7, 8, generator=draw).to(kind).requires_grad_() for _ in range(2))
    return q, k, v


def masks():
    seen = torch.ones(3, 1, 1, 7, dtype=torch.bool)
    seen[0, ..., 4:] = False
    return [None, seen, torch.linspace(-3, 0, 7).expand(3, 1, 1, 7).bfloat16()]


@pytest.mark.parametrize("mask", masks(), ids=["all", "some", "weighted"])
def test_products_written_out_are_what_torch_computes(mask):
    q, k, v = drawn()
    exact = None if mask is None else mask if mask.dtype == torch.bool else mask.float()
    expected = fn.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=exact)
    found = attend(q, k, v, mask)
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0.03)
    wanted, given = (torch.autograd.grad(y.float().square().sum(), (q, k, v)) for y in (expected, found))
    for one, two in zip(wanted, given, strict=True):
        assert (one.float() - two.float()).norm() < 0.05 * one.float().norm()


def test_without_a_gradient_it_is_torchs_own(monkeypatch):
    asked = []
    fused = fn.scaled_dot_product_attention
    monkeypatch.setattr(fn, "scaled_dot_product_attention", lambda *a, **k: asked.append(1) or fused(*a, **k))
    q, k, v = drawn()
    attend(q, k, v)
    assert not asked
    with torch.inference_mode():
        attend(q, k, v)
    attend(*drawn(torch.float32))
    assert len(asked) == 2
