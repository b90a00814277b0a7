"""Multiply-accumulates of attentions whose cost is products of maps, as exact integers."""

import pytest
import torch

import foveate
from foveate.ops.flops import count_macs

# The sites of non-local blocks in ResNet-50: channels, side of the map, how many.
SITES = ((512, 28, 2), (1024, 14, 3))


def counted(name, channels, height, width, **options):
    module = foveate.create_attention(name, channels, **options).eval()
    return count_macs(lambda: module(torch.zeros(1, channels, height, width)))[0]


def non_local(channels, height, width, pool):
    hidden, pixels = channels // 2, height * width
    seen = (height // 2) * (width // 2) if pool else pixels
    convolutions = channels * hidden * (pixels + seen + seen + pixels)
    norm = 4 * channels * pixels
    return convolutions + 2 * pixels * seen * hidden + norm


def double(channels, height, width, ratio):
    wide, pixels = int(channels * ratio), height * width
    return 4 * channels * wide * pixels + 2 * wide * wide * pixels


def criss_cross(channels, height, width):
    hidden, pixels = channels // 8, height * width
    convolutions = pixels * channels * (hidden + hidden + channels)
    return convolutions + pixels * (height + width) * (hidden + channels)


@pytest.mark.parametrize(("height", "width"), [(7, 5), (6, 8)])
def test_products_are_counted(height, width):
    size = (32, height, width)
    for pool in (True, False):
        assert counted("nl", *size, pool=pool) == non_local(*size, pool)
    assert counted("a2", *size) == double(*size, 0.25)
    assert counted("cca", *size) == criss_cross(*size)
    assert counted("rcca", *size) == 2 * criss_cross(*size)


@pytest.mark.parametrize(
    ("name", "options", "billions"),
    [
        ("nl", {}, 1.47),
        ("nl", {"pool": False}, 2.80),
        ("a2", {}, 1.156),
        ("a2", {"feature_ratio": 0.5, "map_ratio": 0.5}, 2.569),
    ],
)
def test_five_blocks_cost_what_is_known(name, options, billions):
    macs = sum(n * counted(name, c, side, side, **options) for c, side, n in SITES)
    if name == "nl":  # the norms are left out of the known sum
        macs -= sum(n * 4 * c * side**2 for c, side, n in SITES)
    assert round(macs / 1e9, len(str(billions)) - 2) == billions
