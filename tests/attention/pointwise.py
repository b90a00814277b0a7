"""A 1x1 convolution as a sum over channels, for formulas."""

import torch


def conv1x1(weights, name, x):
    """The 1x1 convolution called ``name``, with its bias if it has one."""
    mixed = torch.einsum("oc,nchw->nohw", weights[f"{name}.weight"].flatten(1), x)
    bias = weights.get(f"{name}.bias")
    return mixed if bias is None else mixed + bias[:, None, None]
