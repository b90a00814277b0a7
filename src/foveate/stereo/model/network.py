"""A stereo network: a gated backbone seen through its pyramid, and a recurrent matching head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.core import check_positive_int, expected
from foveate.models.pyramid import Pyramid
from foveate.stereo.model.correlation import first_guess, lookup, pooled, row_correlation
from foveate.stereo.model.options import HeadOptions
from foveate.stereo.model.update import Update
from foveate.stereo.model.upsampling import convex_upsample, enlarged

MULTIPLE = 32
"""Sides are filled up to multiples of it, to the right and below, by repeating the border."""


class StereoNet(nn.Module):
    """Finds the disparity of the left view, step by step.

    Both views run through one backbone; the finest map of its pyramid is correlated row by row,
    which gives a first guess; a recurrent unit reads the correlations around the present match,
    corrects it, and says how the coarse map becomes a fine one.

    Args:
        pyramid: On the backbone.
        options: Numbers of the head.
        mean: Of the channels of images in [0, 1].
        std: Of the same.
        spec: What makes such a network again.

    Shape:
        - left, right: (N, 3, H, W) in [0, 1]
        - output: (N, H, W) in pixels of the left view; in training a list: the first guess, and
          one of every step

    Raises:
        ValueError: If the views differ in size.

    Source:
        Lipson, Teed and Deng, RAFT-Stereo, arXiv:2109.07547, with one recurrent unit on one
        resolution, features and context from one shared backbone, and the first guess of
        IGEV-Stereo, arXiv:2303.06615, in the place of 0.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        options: HeadOptions,
        mean: Sequence[float],
        std: Sequence[float],
        spec: dict[str, Any],
    ) -> None:
        super().__init__()
        self.foveate_stereo = spec
        self.options = options
        self.pyramid = pyramid
        # Only the finest map is looked at: what smooths the others would never learn.
        blocks = pyramid.fpn.layer_blocks
        for place in range(1, len(blocks)):
            blocks[place] = nn.Identity()
        self.factor = pyramid.strides[0]
        width = pyramid.out_channels
        self.describe = nn.Conv2d(width, options.features, 3, padding=1)
        self.recall = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, options.hidden + options.context, 3, padding=1),
        )
        looked = options.correlation_levels * (2 * options.radius + 1)
        self.update = Update(looked, options.hidden, options.context, self.factor)
        self.mean: Tensor
        self.std: Tensor
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values).reshape(3, 1, 1), persistent=False)

    @property
    def network(self) -> nn.Module:
        """The backbone."""
        return self.pyramid.trunk.network

    def forward(
        self, left: Tensor, right: Tensor, iterations: int | None = None
    ) -> Tensor | list[Tensor]:
        """Return the disparity, in training the first guess and that of every step.

        Args:
            left: (N, 3, H, W) in [0, 1].
            right: As ``left``.
            iterations: Steps; None for those of the options.
        """
        if left.shape != right.shape:
            sizes = f"{tuple(left.shape)} and {tuple(right.shape)}"
            raise ValueError(expected("StereoNet", "two views of one size", sizes))
        steps = self.options.iterations if iterations is None else iterations
        check_positive_int("StereoNet", "iterations", steps)
        here, there = self.maps(left, right)
        levels = self.correlate(here, there)
        state, context = self.recall(here).split([self.options.hidden, self.options.context], 1)
        state, context = state.tanh(), context.relu()
        height, width = left.shape[2:]
        disparity = first_guess(levels[0], self.options.reach)
        found = [enlarged(disparity, self.factor)[:, :height, :width]]
        for step in range(steps):
            # Each step learns to correct what it is given, not to have been given something else.
            disparity = disparity.detach()
            looked = lookup(levels, disparity, self.options.radius).to(state.dtype)
            state, change = self.update(state, context, looked, disparity.to(state.dtype))
            disparity = disparity + change.float()
            if self.training or step == steps - 1:
                weights = self.update.weights(state).float()
                found.append(convex_upsample(disparity, weights, self.factor)[:, :height, :width])
        return found if self.training else found[-1]

    def maps(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Return the finest map of the pyramid of both views: (N, C, h, w) each."""
        views = (torch.cat([left, right]) - self.mean) / self.std
        height, width = views.shape[2:]
        filled = functional.pad(
            views, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate"
        )
        here, there = self.pyramid(filled)["0"].chunk(2)
        return here, there

    def correlate(self, here: Tensor, there: Tensor) -> list[Tensor]:
        """Return the pyramid of correlations of two maps; levels that a row is too short for are 0.

        Returns:
            (N, h, w, w / 2**l) float32 for each level.
        """
        # Without its mean over the view, a feature is alike only where the views are.
        left, right = (functional.instance_norm(self.describe(one)) for one in (here, there))
        volume = row_correlation(left, right)
        levels = pooled(volume, self.options.correlation_levels)
        missing = self.options.correlation_levels - len(levels)
        return [*levels, *(torch.zeros_like(volume[..., :1]) for _ in range(missing))]
