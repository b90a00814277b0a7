"""Mixed local channel attention: weigh channels in every cell of a grid, and in the whole map.

Paper: Wan et al., Mixed local channel attention for object detection, Engineering Applications
of Artificial Intelligence 123, 2023, section 3.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from foveate.attention.eca import adaptive_kernel
from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_odd, check_positive_int, check_ratio


def _params(channels: int, kernel: int | None = None, grid: int = 5, mix: float = 0.5) -> int:
    return 2 * (adaptive_kernel(channels) if kernel is None else kernel)


@register(
    name="mlca",
    title="Mixed local channel attention",
    kind="both",
    paper="EAAI 2023",
    year=2023,
    site="after_conv2",
    params=_params,
    official=Official("wandahangFY/MLCA", "afbeb47", "MLCA.py", "GPL-3.0"),
    departs=(
        "the authors' MobileNetV3 has it on the depthwise convolution's map before the activation"
        " where the block expands; after_conv2 is behind the activation",
    ),
    verified=(
        "formula in float64",
        "not the authors' code, whose license (GPL-3.0) is not this project's",
    ),
)
class MixedLocalChannelAttention(nn.Module):
    r"""MLCA, $y = x \cdot \mathrm{unpool}(\lambda g^{loc} + (1 - \lambda) g^{glob})$.

    The map is averaged to a grid. One convolution along the channels, as in efficient channel
    attention, weighs them by the means of the grid, $g^{glob}$, another in every cell,
    $g^{loc}$, where it runs over the cells in one sequence: at its ends a cell's first and last
    channels see those of the cells beside it, as in the authors' code. Both gates are brought to
    the size of the map by adaptive averaging.

    Args:
        channels: Channels C of the input, at least 1.
        kernel: Odd kernel size along the channels; None takes the formula of efficient channel
            attention.
        grid: Cells per side.
        mix: $\lambda$, the share of the local gate, in (0, 1].

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If an argument is out of range; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> MixedLocalChannelAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(
        self, channels: int, kernel: int | None = None, grid: int = 5, mix: float = 0.5
    ) -> None:
        super().__init__()
        who = "MixedLocalChannelAttention"
        self.channels = check_positive_int(who, "channels", channels)
        size = check_odd(who, "kernel", adaptive_kernel(channels) if kernel is None else kernel)
        self.grid = check_positive_int(who, "grid", grid)
        self.mix = check_ratio(who, "mix", mix)
        self.overall = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)
        self.local = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)

    def gate(self, x: Tensor) -> Tensor:
        """The weights of all positions, (N, C, H, W)."""
        check_feature_map("MixedLocalChannelAttention", x, self.channels)
        cells = functional.adaptive_avg_pool2d(x, self.grid).flatten(2)
        overall: Tensor = self.overall(cells.mean(2)[:, None])
        local: Tensor = self.local(cells.transpose(1, 2).flatten(1)[:, None])
        local = local.reshape(-1, self.grid * self.grid, self.channels).transpose(1, 2)
        mixed = self.mix * local.sigmoid() + (1 - self.mix) * overall.sigmoid().transpose(1, 2)
        square = mixed.reshape(-1, self.channels, self.grid, self.grid)
        return functional.adaptive_avg_pool2d(square, (x.shape[2], x.shape[3]))

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every channel of x in every cell."""
        return x * self.gate(x)
