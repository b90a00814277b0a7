"""Compact channel attention beside its formula and the authors' code."""

import pytest
import torch
from formulas import batch_norm, check_formula
from pointwise import conv1x1

from foveate.attention import CompactChannelAttention, attention_spec
from foveate.attention.ccam import mix_channels
from recording import check_recorded, fill_
from support import assert_same


def unlike(x, centres):
    """Centres weighed by how far their product with a channel is below the highest one."""
    energy = torch.einsum("nchw,nkhw->nck", x, centres)
    shares = (energy.amax(2, keepdim=True) - energy).softmax(2)
    return torch.einsum("nck,nkhw->nchw", shares, centres)


def written(weights, x, training=False, prefix=""):
    centres = conv1x1(weights, f"{prefix}gather.0", x)
    centres = batch_norm(weights, f"{prefix}gather.1", centres, training).clamp(min=0)
    return x + weights[f"{prefix}scale"] * unlike(x, centres)


@pytest.mark.parametrize("training", [False, True])
def test_ccam_is_its_formula(training):
    module = CompactChannelAttention(12, reduction=3)
    check_formula(module, lambda w, x: written(w, x, training), (2, 12, 4, 3), training)


def test_ccam_gives_the_numbers_of_the_official_code():
    check_recorded("ccam")


def test_size_and_options():
    params = attention_spec("ccam").params
    assert params(512) == 512 * 32 + 64 + 1
    module = CompactChannelAttention(12, reduction=3)
    assert sum(weight.numel() for weight in module.parameters()) == params(12, reduction=3)
    assert module.gather[0].out_channels == 4
    assert CompactChannelAttention(16).gather[0].out_channels == 2
    with pytest.raises(ValueError, match="CompactChannelAttention expects reduction >= 1; got 0"):
        CompactChannelAttention(8, reduction=0)


def test_the_scale_starts_at_zero():
    module = CompactChannelAttention(8)
    assert module.scale.tolist() == [0.0]
    x = torch.randn(2, 8, 5, 4)
    assert torch.equal(module(x), x)  # in training too


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("autocast", [True, False])
def test_sums_of_many_squares_stay_right_in_half_precision(dtype, autocast):
    # Squares of 64 * 64 pixels at 8 sum to 262144, beyond float16. Two centres look the same to the
    # first channel but for 1 in 131072, far below bfloat16's resolution, and differ where it is 0.
    generator = torch.Generator().manual_seed(2)
    x = 8 * torch.randn(1, 3, 64, 64, generator=generator).sign()
    query, centres = -x, x.clone()
    query[:, 0, 32:] = 0
    centres[0, 1, :32] = x[0, 0, :32]
    centres[0, 1, 0, 0] *= 1 + 1 / 64
    want = unlike(query.double(), centres.double())
    low = (query, centres) if autocast else (query.to(dtype), centres.to(dtype))
    with torch.autocast("cpu", dtype, enabled=autocast):
        assert_same(mix_channels(*low).float(), want, limit=2e-2)


def test_it_is_traced_symbolically():
    module = fill_(CompactChannelAttention(8)).eval()
    x = torch.randn(2, 8, 7, 5)
    assert_same(torch.fx.symbolic_trace(module)(x), module(x))


def test_an_exported_graph_attends_with_an_axis_for_heads():
    """The ONNX exporter knows no other; the numbers are the same."""
    x = torch.randn(2, 8, 5, 4)
    module = CompactChannelAttention(8).eval()
    torch.nn.init.ones_(module.scale)
    program = torch.export.export(module, (x,), strict=False)
    (called,) = (node for node in program.graph.nodes if "dot_product" in str(node.target))
    assert called.args[0].meta["val"].dim() == 4
    assert_same(program.module()(x), module(x))
