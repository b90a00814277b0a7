"""Comparison of a module with its formula: the output and every gradient, in float64."""

import torch

from recording import fill_
from support import assert_same


def check_formula(module, formula, shape, training=False, vanishing=()):
    """Fail unless a module computes its formula, forward and backward.

    Args:
        module: The module; every weight and statistic of it is filled.
        formula: Function of the module's weights and statistics by name, and of the input.
        shape: Shape of the input.
        training: Whether to run the module in training mode.
        vanishing: Names of parameters whose gradient is zero but for rounding.
    """
    fill_(module.double()).train(training)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    learned = dict(module.named_parameters())
    # Copies, as a module in training changes its statistics.
    buffers = {name: value.clone() for name, value in module.named_buffers()}
    got, want = module(x), formula({**learned, **buffers}, x)
    assert_same(got, want)
    upstream = torch.randn_like(got)
    leaves = {"x": x, **learned}
    both = [torch.autograd.grad(y, leaves.values(), upstream) for y in (got, want)]
    for name, ours, plain in zip(leaves, *both, strict=True):
        if name in vanishing:
            assert ours.abs().max() < 1e-12 > plain.abs().max()
        else:
            assert_same(ours, plain, f"gradient of {name}")


def normed(z, scale, shift, mean=None, var=None):
    """BatchNorm of (N, K) or (N, K, H, W), by the batch's own statistics if none are given."""
    axes = [axis for axis in range(z.dim()) if axis != 1]
    along = [1, -1] + [1] * (z.dim() - 2)
    mean = z.mean(axes) if mean is None else mean
    var = z.var(axes, correction=0) if var is None else var
    z = (z - mean.view(along)) / (var.view(along) + 1e-5).sqrt()
    return z * scale.view(along) + shift.view(along)


def batch_norm(weights, name, z, training):
    """BatchNorm with the weights and statistics of the module called ``name``."""
    own = ("running_mean", "running_var")
    statistics = [None if training else weights[f"{name}.{which}"] for which in own]
    return normed(z, weights[f"{name}.weight"], weights[f"{name}.bias"], *statistics)
