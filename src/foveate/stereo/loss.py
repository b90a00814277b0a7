"""The loss of a sequence of disparities: later ones count more.

Source: Lipson, Teed and Deng, RAFT-Stereo, arXiv:2109.07547, section 3.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def sequence_loss(
    found: Sequence[Tensor], disparity: Tensor, valid: Tensor, gamma: float = 0.9
) -> Tensor:
    r"""Return $\sum_i \gamma^{n - i} \,\overline{|d_i - d|}$ over the steps i = 1 to n.

    The mean is taken over the valid pixels of all images together; without any it is 0.

    Args:
        found: (N, H, W) of each step.
        disparity: (N, H, W), the truth in pixels.
        valid: (N, H, W) bool, where it is known.
        gamma: How much less every step counts than the next.

    Example:
        >>> truth, known = torch.zeros(1, 1, 2), torch.tensor([[[True, False]]])
        >>> steps = [torch.tensor([[[4.0, 9.0]]]), torch.tensor([[[1.0, 9.0]]])]
        >>> round(float(sequence_loss(steps, truth, known, gamma=0.5)), 4)
        3.0
    """
    count = valid.sum().clamp(min=1)
    terms = []
    for place, one in enumerate(found):
        gap = torch.where(valid, (one - disparity).abs(), torch.zeros_like(disparity))
        terms.append(gamma ** (len(found) - 1 - place) * gap.sum() / count)
    return torch.stack(terms).sum()
