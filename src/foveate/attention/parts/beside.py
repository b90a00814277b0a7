"""A map beside a grid sample of itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# A leaf for symbolic tracing: it looks at shapes, which a proxy has not.
torch.fx.wrap("sample")  # type: ignore[no-untyped-call]


class BesideItself(nn.Module):
    r"""Append to a map what it holds where a convolution of it points.

    The displacements come from a 3x3 convolution that starts at zero: at first the sample is the
    map itself.

    Args:
        channels: Channels C of the input.

    Shape:
        - x: $(N, C, H, W)$; output: $(N, 2 C, H, W)$, the map first.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.flow = nn.Conv2d(channels, 2, 3, padding=1)
        for start in self.flow.parameters():
            nn.init.zeros_(start)

    def forward(self, x: Tensor) -> Tensor:
        """Append the sample of x."""
        return torch.cat([x, sample(x, self.flow(x)).to(x.dtype)], dim=1)


def beside_params(channels: int) -> int:
    """Weights and biases of :class:`BesideItself`."""
    return 2 * (9 * channels + 1)


def sample(x: Tensor, flow: Tensor) -> Tensor:
    """Read a map at displaced positions, bilinearly; outside it is zero.

    Args:
        x: The map.
        flow: Displacement of each pixel in pixels, down and to the right.

    Shape:
        - x: (N, C, H, W); flow: (N, 2, H, W); output: as x.

    Dtype:
        Computed in float32 at least: half precision holds no position between pixels.

    Example:
        >>> x, flow = torch.tensor([[[[1.0, 3.0, 5.0]]]]), torch.zeros(1, 2, 1, 3)
        >>> flow[:, 1] = 0.5
        >>> sample(x, flow)
        tensor([[[[2.0000, 4.0000, 2.5000]]]])
    """
    height, width = x.shape[2:]
    wide = torch.promote_types(x.dtype, torch.float32)
    rows = torch.arange(height, device=x.device, dtype=wide)[:, None]
    columns = torch.arange(width, device=x.device, dtype=wide)
    down, right = flow.to(wide).unbind(1)
    # In units of half a map, from the middle; pixels are areas.
    places = [
        (2 * (right + columns) + 1) / width - 1,
        (2 * (down + rows) + 1) / height - 1,
    ]
    grid = torch.stack(places, dim=-1)
    return functional.grid_sample(x.to(wide), grid, align_corners=False)
