"""Which parameters are decayed, and that a step is the optimizer's own."""

import pytest
import torch
from torch import nn

from foveate.training import TrainSection
from foveate.training.optimizers import make_optimizer


def network():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    net.register_parameter("openness", nn.Parameter(torch.zeros(())))
    return net


def test_scalars_are_never_decayed_and_norms_only_if_asked():
    net = network()
    both = make_optimizer(net, TrainSection(weight_decay=0.1)).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in both] == [(4, 0.1), (1, 0)]
    spared = make_optimizer(net, TrainSection(weight_decay=0.1, decay_norms=False)).param_groups
    assert [len(group["params"]) for group in spared] == [1, 4]


def test_a_sgd_step_moves_against_the_gradient_and_the_decay():
    net = nn.Linear(1, 1, bias=False)
    net.weight = nn.Parameter(torch.tensor([[2.0, 4.0]]))
    optimizer = make_optimizer(net, TrainSection(lr=0.5, momentum=0, weight_decay=0.1))
    net.weight.grad = torch.tensor([[1.0, -1.0]])
    optimizer.step()
    assert net.weight.tolist()[0] == pytest.approx([2 - 0.5 * 1.2, 4 - 0.5 * (-1 + 0.4)])


def test_a_frozen_network_is_refused():
    with pytest.raises(ValueError, match="trainable"):
        make_optimizer(network().requires_grad_(False), TrainSection())
