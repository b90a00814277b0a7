"""The recurrent step: from what correlates around the present match to a better match.

Our own layers and not those of ``torchvision.models.optical_flow.raft``: those are for flows of two
numbers at an eighth of the size, and no part of its public names.

Source: Lipson, Teed and Deng, RAFT-Stereo, arXiv:2109.07547, section 3.3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvGRU(nn.Module):
    r"""A gated recurrent unit of 3 x 3 convolutions.

    $z = \sigma(W_z [h, x])$, $r = \sigma(W_r [h, x])$, $q = \tanh(W_q [r h, x])$,
    $h' = (1 - z) h + z q$.

    Args:
        hidden: Channels of the state h.
        inputs: Channels of the input x.

    Shape:
        - state: (N, hidden, H, W)
        - x: (N, inputs, H, W)
        - output: as the state
    """

    def __init__(self, hidden: int, inputs: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(hidden + inputs, 2 * hidden, 3, padding=1)
        self.candidate = nn.Conv2d(hidden + inputs, hidden, 3, padding=1)

    def forward(self, state: Tensor, x: Tensor) -> Tensor:
        """Return the next state."""
        update, reset = self.gates(torch.cat([state, x], 1)).sigmoid().chunk(2, dim=1)
        candidate = self.candidate(torch.cat([reset * state, x], 1)).tanh()
        following: Tensor = state + update * (candidate - state)
        return following


class Update(nn.Module):
    """One step of the recurrence, and what its state says.

    Args:
        correlations: Channels of what was looked up.
        hidden: Channels of the state.
        context: Channels of the context.
        factor: How far the disparity is enlarged.

    Shape:
        - state: (N, hidden, H, W)
        - context: (N, context, H, W)
        - correlations: (N, correlations, H, W)
        - disparity: (N, 1, H, W) in cells
        - output: the next state, and by how much the disparity changes: (N, 1, H, W)
    """

    def __init__(self, correlations: int, hidden: int, context: int, factor: int) -> None:
        super().__init__()
        self.matched = nn.Sequential(nn.Conv2d(correlations, hidden, 1), nn.ReLU(inplace=True))
        self.motion = nn.Sequential(
            nn.Conv2d(hidden + 1, hidden - 1, 3, padding=1), nn.ReLU(inplace=True)
        )
        self.unit = ConvGRU(hidden, hidden + context)
        self.change = nn.Sequential(
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, 1, 3, padding=1),
        )
        self.shares = nn.Sequential(
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, 9 * factor**2, 1),
        )

    def forward(
        self, state: Tensor, context: Tensor, correlations: Tensor, disparity: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the next state and the change of the disparity."""
        motion = self.motion(torch.cat([self.matched(correlations), disparity], 1))
        state = self.unit(state, torch.cat([context, motion, disparity], 1))
        return state, self.change(state)

    def weights(self, state: Tensor) -> Tensor:
        """Return the weights of :func:`convex_upsample`."""
        found: Tensor = self.shares(state)
        return found
