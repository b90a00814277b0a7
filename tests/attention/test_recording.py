"""The comparison with recorded numbers notices what it is there to notice."""

import pytest
import torch
from torch import nn

from recording import check_numbers, fill_, observe

SHAPE = (2, 3, 4, 5)


class Added(nn.Module):
    """Two layers beside the input, and a ReLU between them."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1)

    def forward(self, x):
        return x + self.last(self.first(x).relu())


def network(shift):
    """Filled, with a shift that decides whether anything passes the ReLU."""
    module = fill_(Added().double())
    with torch.no_grad():
        module.first.bias.add_(shift)
    return module


def recorded(module, idle=()):
    return {"shape": SHAPE, "idle": list(idle), **observe(module, SHAPE)}


def test_numbers_that_tell_of_all_weights_are_taken():
    check_numbers(network(0.0), recorded(network(0.0)))


def test_numbers_that_are_blind_to_a_layer_are_refused():
    dead = network(-9.0)
    blind = ["first.bias", "first.weight", "last.weight"]
    with pytest.raises(AssertionError, match=r"no recorded number: \['first.bias', "):
        check_numbers(dead, recorded(dead))
    check_numbers(dead, recorded(dead, blind))
    with pytest.raises(AssertionError, match=r"no recorded number: \[\]"):
        check_numbers(network(0.0), recorded(network(0.0), ["first.bias"]))


@pytest.mark.parametrize("number", [0, -1])
def test_other_numbers_are_refused(number):
    wrong = recorded(network(0.0))
    wrong["gradient"][number] += 1e-6
    with pytest.raises(AssertionError, match="of the gradient"):
        check_numbers(network(0.0), wrong)
