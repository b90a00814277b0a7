"""How alike every pixel of the left view is to every one of the same row of the right view.

Source: Lipson, Teed and Deng, RAFT-Stereo, arXiv:2109.07547, section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def row_correlation(left: Tensor, right: Tensor) -> Tensor:
    r"""Correlate all pairs of pixels of a row, $c_{hij} = \langle l_{hi}, r_{hj}\rangle/\sqrt{C}$.

    Args:
        left: (N, C, H, W) features of the left view.
        right: (N, C, H, W) features of the right view.

    Returns:
        (N, H, W, W) float32, the last side over columns of the right view.

    Example:
        >>> eye = torch.eye(4).reshape(1, 4, 1, 4)
        >>> row_correlation(eye, eye)[0, 0, 1].tolist()
        [0.0, 0.5, 0.0, 0.0]
    """
    rows, columns = (map_.float().permute(0, 2, 3, 1) for map_ in (left, right))
    products: Tensor = rows @ columns.transpose(2, 3)
    return products / math.sqrt(left.shape[1])


def first_guess(volume: Tensor, reach: int) -> Tensor:
    """Guess the disparity from correlations alone: the mean over matches that lie to the left.

    Each match weighs by the softmax of its correlation. It is where the recurrence begins; since
    the loss sees it too, features learn to match from the first step of training on.

    Source: Xu et al., IGEV-Stereo, arXiv:2303.06615, section 3.3 (there of a filtered volume).

    Args:
        volume: (N, H, W, W).
        reach: The largest disparity that is looked at, in cells.

    Returns:
        (N, 1, H, W) in cells, from 0 to ``reach``.

    Example:
        >>> sure = 50 * torch.eye(4).roll(-1, 1).reshape(1, 1, 4, 4)
        >>> first_guess(sure.roll(-1, 3), reach=3)[0, 0, 0].round().tolist()
        [0.0, 0.0, 2.0, 2.0]
    """
    width = volume.shape[-1]
    places = torch.arange(width, dtype=volume.dtype, device=volume.device)
    gaps = places[:, None] - places
    shares = volume.masked_fill((gaps < 0) | (gaps > reach), -torch.inf).softmax(dim=3)
    return (shares * gaps).sum(dim=3)[:, None]


def pooled(volume: Tensor, levels: int) -> list[Tensor]:
    """Halve the columns of the right view level by level, by means of two; an odd one is left out.

    Args:
        volume: (N, H, W, W).
        levels: How many, the volume itself among them; the list ends early at a single column.
    """
    found = [volume]
    while len(found) < levels and found[-1].shape[-1] > 1:
        flat = functional.avg_pool1d(found[-1].flatten(0, 1), 2, 2)
        found.append(flat.reshape(*volume.shape[:3], -1))
    return found


def lookup(levels: Sequence[Tensor], disparity: Tensor, radius: int) -> Tensor:
    """Read the correlations around the present match, linear between columns, 0 beyond the row.

    Args:
        levels: Of :func:`pooled`: (N, H, W, W / 2**l) each.
        disparity: (N, 1, H, W) in cells of the map.
        radius: Of what is read, in cells of each level.

    Returns:
        (N, L * (2 * radius + 1), H, W), level by level, from left to right.
    """
    width = disparity.shape[-1]
    places = torch.arange(width, dtype=disparity.dtype, device=disparity.device) - disparity[:, 0]
    steps = torch.arange(-radius, radius + 2, device=disparity.device)
    found = []
    for level, volume in enumerate(levels):
        # A cell of this level is the mean of 2**level columns: its center lies between them.
        center = (places + 0.5) / 2**level - 0.5
        low = center.floor()
        taps = low.long()[..., None] + steps
        inside = (taps >= 0) & (taps < volume.shape[-1])
        read = volume.gather(3, taps.clamp(0, volume.shape[-1] - 1)) * inside
        share = (center - low)[..., None]
        found.append(read[..., :-1] * (1 - share) + read[..., 1:] * share)
    return torch.cat(found, dim=3).permute(0, 3, 1, 2)
