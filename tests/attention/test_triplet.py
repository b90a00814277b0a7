"""Triplet attention against its formula and against the authors' code."""

import pytest
import torch
from formulas import batch_norm, check_formula
from torch.nn import functional

from foveate.attention import TripletAttention, attention_spec
from recording import check_recorded


def plane(weights, name, first, second, training):
    """Gate of a plane from its maximum and its mean, (N, A, B)."""
    kernel = weights[f"{name}.0.weight"]
    pooled = torch.stack([first, second], 1)
    scores = functional.conv2d(pooled, kernel, padding=kernel.shape[-1] // 2)
    return batch_norm(weights, f"{name}.1", scores, training)[:, 0].sigmoid()


def formula(weights, x, training=False):
    c, h, w = x.shape[1:]
    swap = x.permute(0, 1, 3, 2)  # (N, C, W, H): pool H
    cw = plane(weights, "over_h", swap.max(3).values, swap.sum(3) / h, training)
    turned = x.permute(0, 2, 1, 3)  # (N, H, C, W): pool W
    hc = plane(weights, "over_w", turned.max(3).values, turned.sum(3) / w, training)
    gates = [torch.einsum("ncw,h->nchw", cw, x.new_ones(h))]
    gates.append(torch.einsum("nhc,w->nchw", hc, x.new_ones(w)))
    if "over_c.0.weight" in weights:
        hw = plane(weights, "over_c", x.max(1).values, x.sum(1) / c, training)
        gates.append(torch.einsum("nhw,c->nchw", hw, x.new_ones(c)))
    return torch.stack([x * gate for gate in gates]).mean(0)


@pytest.mark.parametrize("options", [{}, {"kernel": 3}, {"no_spatial": True}])
def test_triplet_is_its_formula(options):
    check_formula(TripletAttention(6, **options), formula, (2, 6, 9, 4))


def test_triplet_in_training_is_its_formula():
    module = TripletAttention(6)
    check_formula(module, lambda w, x: formula(w, x, True), (2, 6, 9, 4), training=True)


def test_triplet_gives_the_numbers_of_the_official_code():
    check_recorded("triplet")


def test_triplet_without_the_spatial_branch_gives_the_numbers_of_the_official_code():
    check_recorded("triplet", "triplet_no_spatial")


def test_triplet_has_the_published_size():
    spec = attention_spec("triplet")
    assert [spec.params(c) for c in (1, 64, 2048)] == [300] * 3
    assert spec.params(64, kernel=3) == 60
    assert spec.params(64, no_spatial=True) == 200
    for options in ({}, {"kernel": 3}, {"no_spatial": True}):
        counted = sum(weight.numel() for weight in TripletAttention(8, **options).parameters())
        assert counted == spec.params(8, **options)


def test_triplet_starts_as_the_official_resnet_does():
    module = TripletAttention(64)
    norms = (module.over_h[1], module.over_w[1], module.over_c[1])
    assert [norm.weight.item() for norm in norms] == [1, 1, 0]
    assert {norm.momentum for norm in norms} == {0.01}
    deviation = torch.stack([TripletAttention(1).over_h[0].weight for _ in range(50)]).std()
    assert abs(deviation / (2 / 49) ** 0.5 - 1) < 0.1


def test_triplet_gates_without_the_spatial_branch_are_a_mean():
    gate = TripletAttention(6, no_spatial=True).gate(torch.zeros(2, 6, 9, 4))
    assert torch.equal(gate, torch.full_like(gate, 0.5))


def test_triplet_refuses_an_even_kernel():
    with pytest.raises(ValueError, match="TripletAttention expects an odd kernel; got 4"):
        TripletAttention(8, kernel=4)


def test_triplet_learns_from_a_single_pixel_in_a_batch_alone():
    """Documented: its norm over positions needs two values."""
    module = TripletAttention(4)
    module(torch.randn(2, 4, 1, 1)).sum().backward()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module(torch.randn(1, 4, 1, 1))
    module(torch.randn(1, 4, 1, 2)).sum().backward()
    module.eval()(torch.randn(1, 4, 1, 1))
