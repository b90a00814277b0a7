"""Batch norms of a pretrained backbone that stay as they came."""

from __future__ import annotations

from torch import nn

from foveate.surgery import is_inserted_path


def base_norms(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The batch norms of a network without those of what is inserted, which start fresh."""
    return [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._NormBase)
        and module.track_running_stats
        and not is_inserted_path(name)
    ]
