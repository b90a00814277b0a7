"""Batch norms of a pretrained backbone that stay as they came."""

from __future__ import annotations

from torch import nn

from foveate.surgery import is_inserted_path


def base_norms(network: nn.Module) -> list[nn.Module]:
    """The batch norms of a network without those of what is inserted, which start fresh."""
    return [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._NormBase) and not is_inserted_path(name)
    ]


def freeze_norms_(network: nn.Module) -> None:
    """Fix statistics, scale and shift; the modules and their names stay.

    A frozen norm is one in evaluation mode whose weights do not learn, and who trains the network
    must keep it there.
    """
    for norm in base_norms(network):
        norm.eval()
        for parameter in norm.parameters():
            parameter.requires_grad_(False)
