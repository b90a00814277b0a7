"""Networks that the tests of saving import by path, as a user's own package would hold them."""

import torch
from torch import nn

CALLS = []
NUMBER = 7


class Plain(nn.Module):
    """Two stages without residual blocks; ``names`` say what the second is called."""

    def __init__(self, width=8, classes=3, tied=False, scale=1.5):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(width, classes)
        if tied:
            self.alias = self.second
            self.second[0].weight = self.first_twin = nn.Parameter(torch.rand(width, width, 3, 3))
        self.register_buffer("scale", torch.tensor(scale), persistent=False)

    def forward(self, x):
        return self.head((self.second(self.first(x)) * self.scale).mean((2, 3)))


def make_net(width=8, **options):
    """Make one, and remember that it was called."""
    CALLS.append(width)
    return Plain(width, **options)


def not_a_net(**_):
    """Return something else."""
    return "no network"
