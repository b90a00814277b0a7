"""Coordinate attention against its formula, written out position by position."""

import pytest
import torch

from foveate.attention import CoordinateAttention, attention_spec
from recording import check_recorded, fill_, wave
from support import assert_same, gradients_of


def plain(x, weights, training):
    """Rows and columns one at a time; the statistics of the norm over all of them together."""
    count, _, height, width = x.shape
    lines = [x[:, :, row].mean(2) for row in range(height)]
    lines += [x[..., column].mean(2) for column in range(width)]
    squeezed = [
        torch.einsum("nc,mc->nm", line, weights["squeeze.weight"][:, :, 0, 0])
        + weights["squeeze.bias"]
        for line in lines
    ]
    if training:
        together = torch.cat(squeezed)
        mean, variance = together.mean(0), together.var(0, unbiased=False)
    else:
        mean, variance = weights["norm.running_mean"], weights["norm.running_var"]
    gates = []
    for number, line in enumerate(squeezed):
        normed = (line - mean) / (variance + 1e-5).sqrt()
        normed = normed * weights["norm.weight"] + weights["norm.bias"]
        swished = normed * (normed + 3).clamp(0, 6) / 6
        part = "rows" if number < height else "columns"
        last = weights[f"{part}.weight"][:, :, 0, 0]
        gates.append((swished @ last.T + weights[f"{part}.bias"]).sigmoid())
    out = torch.empty_like(x)
    for row in range(height):
        for column in range(width):
            out[..., row, column] = x[..., row, column] * gates[row] * gates[height + column]
    assert len(gates) == height + width and count == len(out)
    return out


@pytest.mark.parametrize("training", [False, True])
def test_coord_is_its_formula(training):
    module = fill_(CoordinateAttention(40, reduction=4).double()).train(training)
    weights = {key: value.clone() for key, value in module.state_dict().items()}
    names = [key for key, _ in module.named_parameters()]
    inputs = {"x": wave((2, 40, 3, 5)), **{key: weights[key] for key in names}}

    def ours(x, **given):
        return torch.func.functional_call(module, given, (x,))

    got, got_grads = gradients_of(ours, inputs)
    want, want_grads = gradients_of(lambda x, **given: plain(x, weights | given, training), inputs)
    assert_same(got, want)
    for key in inputs:
        if training and key == "squeeze.bias":
            # The norm takes a common shift out: the gradient is zero but for rounding.
            assert got_grads[key].abs().max() < 1e-12
            continue
        assert_same(got_grads[key], want_grads[key], key)


def test_coord_gives_the_numbers_of_the_official_code():
    check_recorded("coord")


def test_its_size_is_that_of_the_official_module():
    params = attention_spec("coordatt").params
    # 1x1 layers with biases to and from max(8, C // 32), and the norm.
    assert [params(c) for c in (16, 64, 512, 2048)] == [440, 1688, 25_648, 397_504]
    assert params(64, reduction=4) == 3 * 64 * 16 + 3 * 16 + 2 * 64
    assert params(16, min_width=1) == 3 * 16 + 3 + 32
    for options in ({}, {"min_width": 1}, {"min_width": 3}, {"reduction": 4}):
        module = CoordinateAttention(16, **options)
        assert sum(weight.numel() for weight in module.parameters()) == params(16, **options)


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="reduction >= 1; got 0"):
        CoordinateAttention(8, reduction=0)
    with pytest.raises(ValueError, match="min_width >= 1; got 0"):
        CoordinateAttention(8, min_width=0)


def test_a_single_pixel_of_a_single_image_can_be_trained_on():
    module = CoordinateAttention(4).train()
    assert module(torch.rand(1, 4, 1, 1)).isfinite().all()
