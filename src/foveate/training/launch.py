"""How many processes train together, and what they share."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from foveate.core import Words, expected, require
from foveate.training.ranks import launched
from foveate.training.recipe import TrainSection


def processes(train: TrainSection) -> tuple[int, int]:
    """Return (devices of this node, nodes), from the launcher if there is one, else the recipe.

    Raises:
        ValueError: If the recipe asks for more than one process and the launcher for another
            number; or as ``launched``.
    """
    found = launched()
    if found is None:
        return train.devices, train.nodes
    asked = train.devices, train.nodes
    if asked not in ((1, 1), found):
        raise ValueError(
            expected(
                "train.devices and train.nodes",
                f"what the launcher started, {found[0]} on each of {found[1]} nodes",
                Words(f"{asked[0]} and {asked[1]}"),
                "leave both out of the recipe under torchrun and srun",
            )
        )
    return found


def strategy(world: int, train: TrainSection) -> Any:
    """Return Lightning's strategy for ``world`` processes: none of its own for one, DDP for more.

    While gates or heads learn first, most weights have no gradient, and DDP must look for those
    that do.
    """
    if world == 1:
        return "auto"
    return DDPStrategy(find_unused_parameters=train.lead_in > 0)


def share_batch_norms_(network: nn.Module, world: int, accelerator: str) -> int:
    """Let batch norms take their statistics over all processes, in place.

    The class of each norm changes and nothing else, so that hooks, names and weights stay: what is
    inserted into a network may hang on its norms.

    Returns:
        How many norms it changed; 0 for a single process, where there is nothing to share.

    Raises:
        ValueError: On a CPU, where PyTorch has no such norm.
    """
    if world == 1:
        return 0
    if accelerator == "cpu" or not torch.cuda.is_available():
        raise ValueError(
            expected("train.sync_bn", "GPUs", Words("a CPU"), "leave sync_bn out of the recipe")
        )
    changed = 0
    for module in network.modules():
        twin = _shared(module)
        if twin is not None:
            module.__class__ = twin
            module.process_group = None  # type: ignore[assignment]
            changed += 1
    return changed


def _shared(module: nn.Module) -> type[nn.Module] | None:
    """Return the class that does over all processes what the module does in one."""
    if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
        return nn.SyncBatchNorm
    layers: Any = require("timm.layers", "models", "sync_bn")
    return layers.SyncBatchNormAct if type(module) is layers.BatchNormAct2d else None
