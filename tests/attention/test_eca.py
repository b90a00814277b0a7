"""Efficient channel attention against its formula and against the authors' code."""

import pytest
import torch
from formulas import check_formula

import foveate
from foveate.attention import EfficientChannelAttention, attention_spec
from foveate.attention.place import Place
from recording import check_recorded
from support import TinyResNet


def formula(weights, x):
    """Channel by channel."""
    kernel, channels = weights["layer.conv.weight"][0, 0], x.shape[1]
    means = torch.einsum("nchw->nc", x) / (x.shape[2] * x.shape[3])
    weighed = []
    for channel in range(channels):
        score = 0.0
        for tap, weight in enumerate(kernel):
            neighbor = channel + tap - len(kernel) // 2
            if 0 <= neighbor < channels:
                score = score + weight * means[:, neighbor]
        weighed.append(x[:, channel] / (1 + (-score).exp()).view(-1, 1, 1))
    return torch.stack(weighed, 1)


@pytest.mark.parametrize(
    ("channels", "options"), [(64, {}), (9, {"kernel": 5}), (3, {"kernel": 7})]
)
def test_eca_is_its_formula(channels, options):
    check_formula(EfficientChannelAttention(channels, **options), formula, (2, channels, 5, 6))


def test_eca_gives_the_numbers_of_the_official_code():
    check_recorded("eca")


def test_eca_takes_an_empty_batch():
    module = EfficientChannelAttention(8)
    x = torch.rand(0, 8, 5, 4, requires_grad=True)
    out = module(x)
    assert out.shape == x.shape
    out.sum().backward()
    assert not module.layer.conv.weight.grad.any()


@pytest.mark.parametrize(
    ("channels", "kernel"), [(64, 3), (128, 5), (256, 5), (512, 5), (1024, 5), (2048, 7)]
)
def test_eca_kernels_follow_the_paper(channels, kernel):
    assert attention_spec("eca").params(channels) == kernel
    assert EfficientChannelAttention(channels).layer.conv.kernel_size == (kernel,)
    assert EfficientChannelAttention(channels, kernel=9).layer.conv.kernel_size == (9,)


@pytest.mark.parametrize("kernels", [(3, 5, 7, 9), [3, 5, 7, 9]])
def test_eca_asks_its_place_for_the_kernel_of_its_stage(kernels):
    fit = attention_spec("eca").fit
    for stage, kernel in enumerate(kernels, 1):
        place = Place(channels=64, size=(8, 8), stage=stage, stages=4)
        assert fit(place, {"kernel": kernels}) == {"kernel": kernel}
        assert fit(place, {"kernel": 5}) == fit(place, {}) == {}


def test_eca_is_inserted_with_a_kernel_for_each_stage():
    net = TinyResNet()
    example = torch.rand(1, 3, 16, 16)
    foveate.insert_(net, "eca", "post_norm", example=example, kernel=(1, 5))
    gates = [m for m in net.modules() if isinstance(m, EfficientChannelAttention)]
    assert [gate.layer.conv.kernel_size[0] for gate in gates] == [1, 1, 5, 5]


def test_eca_refuses_kernels_that_are_not_one_for_each_stage():
    who = "EfficientChannelAttention expects"
    text = rf"{who} a kernel for each of the 2 stages; got \(3, 5, 7, 7\)"
    with pytest.raises(ValueError, match=text):
        foveate.insert_(TinyResNet(), "eca", example=torch.rand(1, 3, 16, 16), kernel=(3, 5, 7, 7))
    plain = Place(channels=8, size=(8, 8))
    text = rf"{who} one kernel where a network has no stages; got \(3, 5\)"
    with pytest.raises(ValueError, match=text):
        attention_spec("eca").fit(plain, {"kernel": (3, 5)})
    for make in (EfficientChannelAttention, attention_spec("eca").params):
        with pytest.raises(ValueError, match=rf"{who} one kernel outside a network; got \(3, 5\)"):
            make(8, kernel=(3, 5))
        with pytest.raises(ValueError, match=f"{who} an odd kernel; got 4"):
            make(8, kernel=4)
