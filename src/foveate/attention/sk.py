"""Selective kernel: every channel chooses between kernels of several sizes, softly.

Paper: Li et al., Selective Kernel Networks, arXiv:1903.06586, eq. 1-6.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention.place import replaced_arguments
from foveate.attention.registry import Official, attention_spec, register
from foveate.core import check_feature_map, check_flag, check_positive_int, expected, require
from foveate.ops.convolution import Convolution

_MOST_PATHS = 16  # Each is a convolution; the paper tries 2 and 3.


def _paths(conv: Convolution, paths: int, dilated: bool) -> list[Convolution]:
    """The convolutions to choose from: the one given, then each two pixels wider, equally laid."""
    found = []
    for number in range(paths):
        size = conv.kernel + 2 * number
        step = conv.dilation * (size - 1) // 2 if dilated else conv.dilation
        one = conv.changed(kernel=3 if dilated else size, dilation=step, bias=False)
        found.append(one.changed(padding=conv.padding + (one.span - conv.span) // 2))
    return found


def _params(channels: int, **given: Any) -> int:
    o = {**attention_spec("sk").options, **given}
    paths, reduction, least, dilated = (
        o.pop(name) for name in ("paths", "reduction", "min_hidden", "dilated")
    )
    conv = Convolution.checked("sk", channels, **o)
    hidden = max(conv.out_channels // reduction, least)
    branches = sum(one.parameters + 2 * conv.out_channels for one in _paths(conv, paths, dilated))
    chosen = (1 + paths) * conv.out_channels * hidden + 2 * hidden
    return int(branches + chosen + (conv.out_channels if conv.bias else 0))


@register(
    name="sk",
    title="Selective kernel",
    kind="convolution",
    paper="1903.06586",
    year=2019,
    site="replace_conv2",
    params=_params,
    extra="models",
    fit=replaced_arguments,
    official=Official("implus/SKNet", "5d319b2", "models/sknet50.prototxt", "none"),
    departs=(
        "groups as in the network; SKNet has 32",
        "the norm and activation of the network follow, besides those inside of every path",
        "a bias of the convolution replaced is added to the result: inside, a norm would undo it",
    ),
    verified=("timm 1.0.31's class, which does the work", "not the authors' code, which is Caffe"),
)
class SelectiveKernel(nn.Module):
    r"""Selective kernel convolution, $y_c = \sum_i a_{ic}\, u_{ic}$.

    The paths are $u_i = \mathrm{relu}(\mathrm{BN}(\mathrm{conv}_i(x)))$ with growing kernels; the
    weights are a softmax over i of $A_i\,\mathrm{relu}(\mathrm{BN}(B s))$, where s is the mean of
    $\sum_i u_i$ over all pixels.

    Args:
        channels: Channels C of the input, at least 1.
        out_channels: Channels C' of the output; None for C.
        kernel: Size of the smallest kernel in pixels, odd and at least 3.
        stride: Step between output positions.
        padding: Zeros around the input for the smallest kernel; the others get as many more as
            they are wider. None keeps the size at stride 1.
        dilation: Distance between taps.
        groups: Groups of channels that do not mix, a divisor of C and C'.
        bias: Whether to add a bias to the result.
        paths: Number of kernels, each two pixels wider than the last.
        reduction: Width divisor of the hidden layer; its width is
            ``max(C' // reduction, min_hidden)``.
        min_hidden: Smallest width of the hidden layer.
        dilated: Widen the kernels by the distance between 3 x 3 taps, as in the paper, instead of
            by their number.

    Shape:
        - x: $(N, C, H, W)$, any float dtype, N >= 2 in training (batch norm of the means).
        - output: $(N, C', H', W')$ as the plain convolution's.

    Raises:
        TypeError: If a number is not an integer, or a switch not a bool.
        ValueError: If an argument is out of range; in ``forward``, if x is not (N, C, H, W).
        ImportError: If timm, whose layer it is, is not installed.

    Example:
        >>> import torch
        >>> SelectiveKernel(8, stride=2)(torch.rand(2, 8, 7, 5)).shape
        torch.Size([2, 8, 4, 3])
    """

    def __init__(
        self,
        channels: int,
        out_channels: int | None = None,
        kernel: int = 3,
        stride: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        paths: int = 2,
        reduction: int = 16,
        min_hidden: int = 32,
        dilated: bool = True,
    ) -> None:
        super().__init__()
        who = "SelectiveKernel"
        conv = Convolution.checked(
            who, channels, out_channels, kernel, stride, padding, dilation, groups, bias
        )
        for name, value in (
            ("paths", paths),
            ("reduction", reduction),
            ("min_hidden", min_hidden),
        ):
            check_positive_int(who, name, value)
        if paths > _MOST_PATHS:
            raise ValueError(expected(who, f"paths <= {_MOST_PATHS}", paths))
        check_flag(who, "dilated", dilated)
        if kernel < 3 or kernel % 2 == 0:
            raise ValueError(expected(who, "an odd kernel >= 3", kernel))
        self.channels = channels
        layers: Any = require("timm.layers", "models", who)
        self.layer: Any = layers.SelectiveKernel(
            channels,
            conv.out_channels,
            [kernel + 2 * number for number in range(paths)],
            stride,
            dilation,
            groups,
            rd_channels=max(conv.out_channels // reduction, min_hidden),
            keep_3x3=dilated,
            split_input=False,
        )
        # timm pads to keep the size; the convolution replaced may pad otherwise.
        for path, one in zip(self.layer.paths, _paths(conv, paths, dilated), strict=True):
            path.conv.padding = (one.padding, one.padding)
        for choosing in (self.layer.attn.fc_reduce, self.layer.attn.fc_select):
            nn.init.normal_(choosing.weight, std=0.01)  # as the authors; timm's is wider
        self.bias = nn.Parameter(torch.zeros(conv.out_channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x by every kernel and mix the results per channel."""
        check_feature_map("SelectiveKernel", x, self.channels)
        out: Tensor = self.layer(x)
        return out if self.bias is None else out + self.bias[:, None, None]
