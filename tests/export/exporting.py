"""A tiny gated network whose samples leave the map, and its input."""

import torch
from torch import nn

import foveate


def tiny(attention="das", channels=8, **options):
    """A convolution, a gate with large offsets, a classifier: every weight at work."""
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(3, channels, 3, 2, 1),
        nn.ReLU(),
        foveate.create_attention(attention, channels, **options),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, 4),
    )
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
        if hasattr(net[2], "offset"):
            net[2].offset.weight.mul_(6)  # Pixels, on a map of 9x11.
    return net.eval()


def images(count=1, height=17, width=22):
    torch.manual_seed(4)
    return torch.randn(count, 3, height, width)


def files(folder):
    """All that a folder holds, hidden files too."""
    return sorted(one.name for one in folder.iterdir())
