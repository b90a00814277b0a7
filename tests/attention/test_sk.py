"""Selective kernel against its formula, with ordinary operators, and its place in a network."""

import pytest
import torch
from formulas import batch_norm, check_formula
from torch.nn import functional

from foveate.attention import SelectiveKernel, attention_spec
from foveate.attention.place import Place


def formula(training, kernels, stride=1, groups=1):
    """Kernels are (distance between taps, padding) of every path."""

    def run(weights, x):
        paths = []
        for number, (dilation, padding) in enumerate(kernels):
            name = f"layer.paths.{number}"
            kernel = weights[f"{name}.conv.weight"]
            wide = functional.conv2d(x, kernel, None, stride, padding, dilation, groups)
            paths.append(batch_norm(weights, f"{name}.bn", wide, training).relu())
        means = sum(paths).mean((2, 3))
        hidden = means @ weights["layer.attn.fc_reduce.weight"].flatten(1).T
        hidden = batch_norm(weights, "layer.attn.bn", hidden, training).relu()
        logits = hidden @ weights["layer.attn.fc_select.weight"].flatten(1).T
        chosen = torch.stack(logits.chunk(len(paths), 1)).exp()
        chosen = chosen / chosen.sum(0)
        out = sum(torch.einsum("nchw,nc->nchw", u, a) for u, a in zip(paths, chosen, strict=True))
        return out + weights["bias"][:, None, None] if "bias" in weights else out

    return run


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("options", "kernels"),
    [
        ({}, [(1, 1), (2, 2)]),
        ({"out_channels": 12, "stride": 2, "bias": True}, [(1, 1), (2, 2)]),
        ({"groups": 8, "paths": 3}, [(1, 1), (2, 2), (3, 3)]),
        ({"dilated": False, "padding": 0, "stride": 3}, [(1, 0), (1, 1)]),
        ({"dilation": 2, "min_hidden": 4, "reduction": 2}, [(2, 2), (4, 4)]),
        ({"kernel": 5, "dilated": False}, [(1, 2), (1, 3)]),
    ],
)
def test_sk_is_its_formula(options, kernels, training):
    torch.manual_seed(0)
    told = {name: options[name] for name in ("stride", "groups") if name in options}
    module = SelectiveKernel(8, **options)
    check_formula(module, formula(training, kernels, **told), (4, 8, 9, 7), training)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("dilated", [True, False])
def test_it_gives_maps_as_large_as_the_convolution_it_replaces(stride, padding, dilated):
    conv = torch.nn.Conv2d(8, 16, 3, stride, padding, groups=8)
    replaced = {"out_channels": 16, "kernel": 3, "stride": stride, "padding": padding}
    place = Place(8, (9, 12), replaced={**replaced, "dilation": 1, "groups": 8, "bias": True})
    options = {"dilated": dilated, "paths": 3}
    module = SelectiveKernel(8, **options, **attention_spec("sk").fit(place, options)).eval()
    x = torch.rand(2, 8, 9, 12)
    assert module(x).shape == conv(x).shape
    assert attention_spec("sk").fit(place, {"groups": 4})["stride"] == stride
    assert "groups" not in attention_spec("sk").fit(place, {"groups": 4})


@pytest.mark.parametrize(
    ("channels", "options", "want"),
    [
        # The first block of SKNet-50: 32 groups of 4 channels, 32 hidden ones.
        (128, {"groups": 32}, 2 * (9 * 4 * 128 + 2 * 128) + 3 * 128 * 32 + 2 * 32),
        (1024, {}, 2 * (9 * 1024**2 + 2 * 1024) + 3 * 1024 * 64 + 2 * 64),
        (8, {"dilated": False, "bias": True}, (9 + 25) * 64 + 4 * 8 + 3 * 8 * 32 + 64 + 8),
        (6, {"out_channels": 9, "groups": 3}, 2 * (9 * 2 * 9 + 18) + 3 * 9 * 32 + 64),
    ],
)
def test_parameters_are_the_exact_integers(channels, options, want):
    with torch.device("meta"):
        module = SelectiveKernel(channels, **options)
    counted = sum(weight.numel() for weight in module.parameters())
    assert counted == want == attention_spec("sk").params(channels, **options)


def test_the_choice_starts_narrow():
    module = SelectiveKernel(256)
    for layer in (module.layer.attn.fc_reduce, module.layer.attn.fc_select):
        assert 0.009 < layer.weight.std() < 0.011


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"kernel": 1}, "an odd kernel >= 3; got 1"),
        ({"kernel": 4, "padding": 1}, "an odd kernel >= 3; got 4"),
        ({"paths": 0}, "paths >= 1; got 0"),
        ({"groups": 3}, "groups that divide 8 and 8 channels; got 3"),
    ],
)
def test_wrong_options_are_named(options, rule):
    with pytest.raises(ValueError, match=f"SelectiveKernel expects {rule}"):
        SelectiveKernel(8, **options)
