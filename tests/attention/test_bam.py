"""Bottleneck attention against its formula and against the authors' code."""

import pytest
import torch
from formulas import batch_norm, check_formula
from torch.nn import functional

from foveate.attention import BottleneckAttention, attention_spec
from recording import check_recorded


def formula(weights, x, combine="mul", dilation=4, training=False):
    def conv(name, z, **options):
        kernel, bias = weights[f"by_position.{name}.weight"], weights[f"by_position.{name}.bias"]
        return functional.conv2d(z, kernel, bias, **options)

    def norm(name, z):
        return batch_norm(weights, name, z, training).clamp(min=0)

    n, c, h, w = x.shape
    mean = torch.einsum("nchw->nc", x) / (h * w)
    hidden = mean @ weights["by_channel.0.weight"].T + weights["by_channel.0.bias"]
    hidden = norm("by_channel.1", hidden)
    channels = hidden @ weights["by_channel.3.weight"].T + weights["by_channel.3.bias"]
    z = norm("by_position.1", conv("0", x))
    z = norm("by_position.4", conv("3", z, padding=dilation, dilation=dilation))
    z = norm("by_position.7", conv("6", z, padding=dilation, dilation=dilation))
    channels, positions = channels.view(n, c, 1, 1), conv("9", z)
    both = channels * positions if combine == "mul" else channels + positions
    return x + x / (1 + (-both).exp())


@pytest.mark.parametrize("options", [{}, {"combine": "add"}, {"dilation": 2}])
def test_bam_is_its_formula(options):
    module = BottleneckAttention(12, reduction=4, **options)
    check_formula(module, lambda w, x: formula(w, x, **options), (2, 12, 9, 11))


def test_bam_in_training_is_its_formula():
    module = BottleneckAttention(12, reduction=4)
    before_norms = ("by_channel.0", "by_position.0", "by_position.3", "by_position.6")
    check_formula(
        module,
        lambda w, x: formula(w, x, training=True),
        (5, 12, 9, 11),
        training=True,
        vanishing=[f"{name}.bias" for name in before_norms],
    )


def test_bam_gives_the_numbers_of_the_official_code():
    check_recorded("bam")


def test_bam_has_the_published_size():
    spec = attention_spec("bam")
    assert [spec.params(c) for c in (256, 512, 1024)] == [17_361, 68_513, 272_193]
    for options in ({}, {"reduction": 4}, {"combine": "add", "dilation": 1}):
        counted = sum(weight.numel() for weight in BottleneckAttention(20, **options).parameters())
        assert counted == spec.params(20, **options)


def test_bam_starts_as_the_official_network_does():
    module = BottleneckAttention(64)
    assert not any(
        weight.any() for name, weight in module.named_parameters() if name.endswith("bias")
    )
    # By the outputs of a layer: the first has 4 of them and 64 inputs.
    for number, outputs in ((0, 4), (3, 9 * 4)):
        kernels = [BottleneckAttention(64).by_position[number].weight for _ in range(50)]
        assert abs(torch.stack(kernels).std() / (2 / outputs) ** 0.5 - 1) < 0.05


def test_bam_trains_with_two_images_and_says_that_one_is_too_few():
    module = BottleneckAttention(8)
    module(torch.randn(2, 8, 4, 4)).sum().backward()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module(torch.randn(1, 8, 4, 4))
    module.eval()(torch.randn(1, 8, 4, 4))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"combine": "sum"}, "a known combine; got 'sum'"),
        ({"reduction": 0}, "reduction >= 1; got 0"),
        ({"dilation": 0}, "dilation >= 1; got 0"),
    ],
)
def test_bam_names_wrong_options(options, text):
    with pytest.raises(ValueError, match=f"BottleneckAttention expects {text}"):
        BottleneckAttention(8, **options)
