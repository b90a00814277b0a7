"""Split attention against its formula, timm's class and the authors' code."""

import pytest
import torch
from formulas import batch_norm, check_formula
from timm.layers import SplitAttn
from torch.nn import functional

from foveate.attention import SplitAttention, attention_spec
from foveate.attention.place import Place
from recording import check_recorded, fill_
from support import assert_same, gradients_of


def grouped(vectors, weights, name, groups):
    """A dense layer per group of channels."""
    kernel, bias = weights[f"{name}.weight"].flatten(1), weights[f"{name}.bias"]
    parts = zip(vectors.chunk(groups, 1), kernel.chunk(groups), strict=True)
    return torch.cat([part @ one.T for part, one in parts], 1) + bias


def formula(training, radix=2, groups=1, stride=1, pool=False, **conv):
    """Every split a convolution of its share of the channels, every group by itself."""

    def run(weights, x):
        kernel, bias = weights["conv.weight"], weights.get("conv.bias")
        step = 1 if pool else stride
        wide = functional.conv2d(x, kernel, bias, step, groups=groups * radix, **conv)
        splits = batch_norm(weights, "norm", wide, training).relu().chunk(radix, 1)
        hidden = grouped(sum(splits).mean((2, 3)), weights, "squeeze", groups)
        hidden = batch_norm(weights, "hidden_norm", hidden, training).relu()
        logits = grouped(hidden, weights, "choose", groups)
        out = 0
        for number, split in enumerate(splits):
            # A group's logits lie together, split after split.
            parts = [one.chunk(radix, 1) for one in logits.chunk(groups, 1)]
            chosen = torch.cat(
                [part[number].exp() / sum(map(torch.exp, part)) for part in parts], 1
            )
            if radix == 1:
                chosen = logits.sigmoid()
            out = out + torch.einsum("nchw,nc->nchw", split, chosen)
        return functional.avg_pool2d(out, 3, stride, 1) if pool else out

    return run


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, {"padding": 1}),
        ({"groups": 2, "out_channels": 16, "bias": True}, {"groups": 2, "padding": 1}),
        ({"stride": 2, "radix": 3}, {"stride": 2, "pool": True, "radix": 3, "padding": 1}),
        ({"stride": 2, "pool": False, "dilation": 2}, {"stride": 2, "padding": 2, "dilation": 2}),
        ({"radix": 1, "groups": 3}, {"radix": 1, "groups": 3, "padding": 1}),
    ],
)
def test_splat_is_its_formula(options, told, training):
    torch.manual_seed(0)
    module = SplitAttention(12, **options)
    # The norms take out a shift that all images share.
    vanishing = ("conv.bias", "squeeze.bias") if training else ()
    vanishing = [name for name in vanishing if name in dict(module.named_parameters())]
    check_formula(module, formula(training, **told), (4, 12, 9, 7), training, vanishing)


@pytest.mark.parametrize(("groups", "radix"), [(8, 2), (8, 4), (4, 4)])
def test_narrow_groups_share_their_channels_among_the_splits(groups, radix):
    """As if every split were a convolution of its own with the groups of the one replaced."""
    torch.manual_seed(0)
    module = SplitAttention(8, 16, groups=groups, radix=radix, stride=2)
    per_group = 16 // groups

    def plain(weights, x):
        rows = weights["conv.weight"].unflatten(0, (groups, radix, per_group))
        order = torch.arange(16 * radix).reshape(groups, radix, per_group).transpose(0, 1)
        splits = []
        for number in range(radix):
            wide = functional.conv2d(x, rows[:, number].flatten(0, 1), None, 1, 1, groups=groups)
            norm = {
                key: value[order[number].flatten()]
                for key, value in weights.items()
                if key.startswith("norm.") and value.dim()
            }
            splits.append(batch_norm(norm, "norm", wide, False).relu())
        hidden = grouped(sum(splits).mean((2, 3)), weights, "squeeze", 1)
        hidden = batch_norm(weights, "hidden_norm", hidden, False).relu()
        chosen = grouped(hidden, weights, "choose", 1).unflatten(1, (radix, 16)).softmax(1)
        mixed = sum(u * chosen[:, i, :, None, None] for i, u in enumerate(splits))
        return functional.avg_pool2d(mixed, 3, 2, 1)

    check_formula(module, plain, (2, 8, 9, 7))


@pytest.mark.parametrize(
    ("options", "timms"),
    [
        ({}, {}),
        ({"groups": 2, "out_channels": 96}, {"groups": 2, "out_channels": 96}),
        ({"stride": 2, "pool": False}, {"stride": 2}),
        ({"radix": 1, "bias": True}, {"radix": 1, "bias": True}),
    ],
)
def test_it_is_timms_class_where_that_is_defined(options, timms):
    torch.manual_seed(0)
    module = fill_(SplitAttention(64, **options).double()).train()
    other = SplitAttn(64, **timms, norm_layer=torch.nn.BatchNorm2d).double().train()
    names = {"conv": "conv", "norm": "bn0", "squeeze": "fc1", "hidden_norm": "bn1", "choose": "fc2"}
    weights = {
        ".".join([names[key.split(".")[0]], *key.split(".")[1:]]): value
        for key, value in module.state_dict().items()
    }
    other.load_state_dict(weights)
    inputs = {"x": torch.randn(3, 64, 7, 5, dtype=torch.float64)}
    got, got_grads = gradients_of(module, inputs)
    want, want_grads = gradients_of(other, inputs)
    assert_same(got, want)
    assert_same(got_grads["x"], want_grads["x"])


def test_splat_gives_the_numbers_of_the_official_code():
    check_recorded("splat")


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("groups", [1, 8])
def test_it_gives_maps_as_large_as_the_convolution_it_replaces(stride, padding, pool, groups):
    conv = torch.nn.Conv2d(8, 16, 3, stride, padding, groups=groups)
    replaced = {"out_channels": 16, "kernel": 3, "stride": stride, "padding": padding}
    place = Place(8, (9, 12), replaced={**replaced, "dilation": 1, "groups": groups, "bias": True})
    module = SplitAttention(8, pool=pool, **attention_spec("splat").fit(place, {})).eval()
    x = torch.rand(2, 8, 9, 12)
    assert module(x).shape == conv(x).shape
    assert "stride" not in attention_spec("splat").fit(place, {"stride": 1})


@pytest.mark.parametrize(
    ("channels", "options", "want"),
    [
        # The first block of ResNeSt-50.
        (64, {}, 9 * 32 * 128 + 2 * 128 + 64 * 32 + 3 * 32 + 32 * 128 + 128),
        # A depthwise convolution stays one.
        (96, {"groups": 96}, 9 * 192 + 2 * 192 + 96 * 48 + 3 * 48 + 48 * 192 + 192),
        # Thirty-two groups take 32 hidden channels times two.
        (128, {"groups": 32}, 9 * 2 * 256 + 512 + 64 * 4 + 3 * 64 + 256 * 2 + 256),
        (8, {"groups": 4, "out_channels": 12}, 9 * 24 + 48 + 32 * 3 + 96 + 8 * 24 + 24),
        (6, {"groups": 3, "reduction": 1}, 9 * 12 + 24 + 33 * 2 + 99 + 11 * 12 + 12),
    ],
)
def test_parameters_are_the_exact_integers(channels, options, want):
    with torch.device("meta"):
        module = SplitAttention(channels, **options)
    counted = sum(weight.numel() for weight in module.parameters())
    assert counted == want == attention_spec("splat").params(channels, **options)


@pytest.mark.parametrize(
    ("channels", "options", "rule"),
    [
        (7, {}, "channels that are a multiple of 2; got 7"),
        (8, {"radix": 3}, "channels that are a multiple of 3; got 8"),
        (8, {"radix": 0}, "radix >= 1; got 0"),
        (8, {"reduction": 0}, "reduction >= 1; got 0"),
        (8, {"groups": 3}, "groups that divide 8 and 8 channels; got 3"),
    ],
)
def test_wrong_options_are_named(channels, options, rule):
    with pytest.raises(ValueError, match=f"SplitAttention expects {rule}"):
        SplitAttention(channels, **options)
