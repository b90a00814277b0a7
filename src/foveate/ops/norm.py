"""Layer normalization over the channels of a feature map, at each pixel."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def channel_layer_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float = 1e-5
) -> Tensor:
    r"""Normalize each pixel over its channels, $(x - \mu_c) / \sqrt{\sigma_c^2 + \epsilon}$.

    Args:
        x: The map.
        weight: Scale per channel, or None.
        bias: Shift per channel, or None.
        eps: Added to the variance.

    Shape:
        - x: $(N, C, H, W)$; weight, bias: $(C,)$; output: as x.

    Source: Ba et al., Layer Normalization, arXiv:1607.06450, with the axes of ConvNeXt.
    """
    last = x.permute(0, 2, 3, 1)
    return functional.layer_norm(last, last.shape[-1:], weight, bias, eps).permute(0, 3, 1, 2)
