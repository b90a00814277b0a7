"""From a coarse disparity to one of every pixel, as convex sums of neighbors.

Source: Teed and Deng, RAFT, arXiv:2003.12039, section 3.3.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def enlarged(disparity: Tensor, factor: int) -> Tensor:
    """Enlarge a map without weights, linearly between the centers of cells.

    Args:
        disparity: (N, 1, h, w) in cells.
        factor: How many fine pixels a cell is wide.

    Returns:
        (N, h * factor, w * factor) in pixels.
    """
    fine = functional.interpolate(disparity * factor, scale_factor=factor, mode="bilinear")
    return fine[:, 0]


def convex_upsample(disparity: Tensor, weights: Tensor, factor: int) -> Tensor:
    """Enlarge a map: every fine pixel is a convex sum of the 3 x 3 cells around its own.

    The border is repeated outward, so that a constant map stays constant up to its edges.

    Args:
        disparity: (N, 1, h, w) in cells.
        weights: (N, 9 * factor**2, h, w), before the softmax over the nine.
        factor: How many fine pixels a cell is wide.

    Returns:
        (N, h * factor, w * factor) in pixels: values are multiplied by ``factor``.

    Example:
        >>> fine = convex_upsample(torch.ones(1, 1, 2, 3), torch.rand(1, 36, 2, 3), 2)
        >>> fine.shape, bool((fine - 2).abs().max() < 1e-5)
        (torch.Size([1, 4, 6]), True)
    """
    count, _, height, width = disparity.shape
    shares = weights.reshape(count, 9, factor, factor, height, width).softmax(dim=1)
    padded = functional.pad(disparity * factor, (1, 1, 1, 1), mode="replicate")
    cells = functional.unfold(padded, 3).reshape(count, 9, 1, 1, height, width)
    # (N, factor, factor, h, w) -> rows of cells and of their pixels, then columns.
    fine = torch.sum(shares * cells, dim=1).permute(0, 3, 1, 4, 2)
    return fine.reshape(count, height * factor, width * factor)
