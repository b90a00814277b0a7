"""Optimizers by recipe."""

from __future__ import annotations

import torch
from torch import nn

from foveate.training.recipe import TrainSection


def make_optimizer(network: nn.Module, train: TrainSection) -> torch.optim.Optimizer:
    """Return the optimizer of a recipe over the network's trainable parameters.

    Scalars (an openness among them) are never decayed, since decay would close the gate;
    biases and norms are spared where ``decay_norms`` is off.

    Raises:
        ValueError: If the network has no trainable parameter.
    """
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for parameter in network.parameters():
        if not parameter.requires_grad:
            continue
        spare = parameter.numel() == 1 or (parameter.ndim < 2 and not train.decay_norms)
        (spared if spare else decayed).append(parameter)
    groups = [
        {"params": parameters, "weight_decay": decay}
        for parameters, decay in ((decayed, train.weight_decay), (spared, 0.0))
        if parameters
    ]
    if not groups:
        raise ValueError("make_optimizer expects a network with trainable parameters; got none")
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=train.base_lr)
    return torch.optim.SGD(groups, lr=train.base_lr, momentum=train.momentum)
