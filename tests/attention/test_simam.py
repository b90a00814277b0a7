"""SimAM against its formula, written out value by value."""

import math

import pytest
import torch

from foveate.attention import SimpleAttention, attention_spec
from recording import wave
from support import assert_same, gradients_of


@pytest.mark.parametrize("penalty", [1e-4, 0.1])
def test_simam_is_its_formula(penalty):
    module = SimpleAttention(3, penalty=penalty).double()
    x = wave((2, 3, 4, 5)) * torch.tensor([0.05, 1.0, 30.0], dtype=torch.float64)[:, None, None]

    def plain(x):
        count = x.shape[2] * x.shape[3]
        channels = []
        for values in x.flatten(2).flatten(0, 1):
            mean = values.sum() / count
            squares = (values - mean) ** 2
            variance = squares.sum() / (count - 1)
            inverse = squares / (4 * (variance + penalty)) + 0.5
            channels.append(values / (1 + (-inverse).exp()))
        return torch.stack(channels).reshape(x.shape)

    got, grads = gradients_of(module, {"x": x})
    want, wanted = gradients_of(plain, {"x": x})
    # One channel at a time: the widest would hide the others.
    for channel in range(3):
        assert_same(got[:, channel], want[:, channel], f"channel {channel}")
        assert_same(grads["x"][:, channel], wanted["x"][:, channel], f"grad {channel}")


def test_simam_of_two_pixels_by_hand():
    # Two values a apart: (a/2)^2 over 4 (a^2/2 + penalty), plus a half.
    module = SimpleAttention(1, penalty=0.5).double()
    got = module(torch.tensor([[[[1.0, 3.0]]]], dtype=torch.float64))
    weight = 1 / (1 + math.exp(-(1 / (4 * 2.5) + 0.5)))
    assert got.flatten().tolist() == pytest.approx([weight, 3 * weight], rel=1e-15)


def test_a_constant_channel_has_finite_gradients():
    x = torch.ones(1, 2, 3, 3, requires_grad=True)
    module = SimpleAttention(2)
    out = module(x)
    out.sum().backward()
    assert_same(out, torch.full_like(out, torch.tensor(0.5).sigmoid()))
    assert x.grad.isfinite().all()


def test_half_precision_holds_large_values():
    x = wave((1, 2, 5, 7)) * 300
    got = SimpleAttention(2)(x.half())
    assert_same(got, SimpleAttention(2).double()(x.half().double()).half())


def test_it_has_no_parameters_and_no_state():
    module = SimpleAttention(64)
    assert module.state_dict() == {}
    assert attention_spec("simam").params(64) == 0
    assert "penalty=0.0001" in repr(module)


def test_wrong_options_and_a_single_pixel_are_named():
    with pytest.raises(ValueError, match=r"penalty in \(0, 1\]; got 0"):
        SimpleAttention(8, penalty=0)
    with pytest.raises(ValueError, match="at least 2 pixels; got 1x1; feed larger images"):
        SimpleAttention(8)(torch.rand(2, 8, 1, 1))
