"""What autocast asks of an operator of our own, which it does not know."""

from __future__ import annotations

import torch
from torch import Tensor

_CASTABLE = (torch.float32, torch.bfloat16, torch.float16)


def is_autocast_on(device: str) -> bool:
    """Whether autocast is on for a device type; some, such as meta, do not know it at all."""
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def autocast_dtype(input: object) -> torch.dtype | None:
    """Dtype to which autocast brings the input of a convolution; None to leave it as it is."""
    if not isinstance(input, Tensor) or input.dtype not in _CASTABLE:
        return None
    device = input.device.type
    return torch.get_autocast_dtype(device) if is_autocast_on(device) else None
