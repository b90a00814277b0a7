"""Split attention: a convolution with several results, of which every channel chooses softly.

Paper: Zhang et al., ResNeSt: Split-Attention Networks, arXiv:2004.08955, section 3.1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.attention.place import replaced_arguments
from foveate.attention.registry import Official, attention_spec, register
from foveate.core import (
    check_channel_multiple,
    check_feature_map,
    check_flag,
    check_positive_int,
)
from foveate.ops.convolution import Convolution


def _is_shared(conv: Convolution, radix: int) -> bool:
    """Whether groups are too narrow to be split, so that all splits read the same channels."""
    return conv.channels % (conv.groups * radix) > 0


def _widths(conv: Convolution, radix: int, reduction: int) -> tuple[int, int]:
    """Groups of the hidden layer, and its width, a multiple of them."""
    groups = 1 if _is_shared(conv, radix) else conv.groups
    hidden = max(conv.channels * radix // reduction, 32)
    return groups, -(-hidden // groups) * groups


def _params(channels: int, **given: Any) -> int:
    o = {**attention_spec("splat").options, **given}
    radix, reduction, _ = (o.pop(name) for name in ("radix", "reduction", "pool"))
    conv = Convolution.checked("splat", channels, **o)
    wide = conv.out_channels * radix
    groups, hidden = _widths(conv, radix, reduction)
    inner = conv.groups if _is_shared(conv, radix) else conv.groups * radix
    splits = conv.changed(out_channels=wide, groups=inner).parameters + 2 * wide
    first, last = conv.out_channels // groups * hidden + hidden, hidden // groups * wide + wide
    return int(splits + first + 2 * hidden + last)


@register(
    name="splat",
    title="Split attention",
    kind="convolution",
    paper="2004.08955",
    year=2020,
    site="replace_conv2",
    params=_params,
    channel_multiple=2,
    fit=replaced_arguments,
    official=Official(
        "zhanghang1989/ResNeSt", "1dfb3e8", "resnest/torch/models/splat.py", "Apache-2.0"
    ),
    departs=(
        "strided convolutions run at stride 1 and are average-pooled, as in ResNeSt; pool=False",
        "depthwise and other narrow groups are not split: each split convolves the same channels,"
        " and the layers that choose are dense; the authors' code is undefined there",
        "the hidden width is rounded up to a multiple of the groups, where the authors' would fail",
        "stem and blocks of the network as they are; ResNeSt changes them too",
        "the norm and activation of the network follow, besides those inside",
    ),
    verified=("formula in float64", "the authors' code (1dfb3e8), recorded", "timm 1.0.31's class"),
)
class SplitAttention(nn.Module):
    r"""Split attention, $y_c = \sum_r a_{rc}\, u_{rc}$.

    One convolution gives R splits, $u = \mathrm{relu}(\mathrm{BN}(\mathrm{conv}(x)))$; the weights
    are a softmax over r of $A_r\,\mathrm{relu}(\mathrm{BN}(B s))$, where s is the mean of
    $\sum_r u_r$ over all pixels. A single split is weighed by a sigmoid.

    Args:
        channels: Channels C of the input, a multiple of ``radix``.
        out_channels: Channels C' of the output; None for C.
        kernel: Kernel size in pixels.
        stride: Step between output positions.
        padding: Zeros around the input; None keeps the size at stride 1 for an odd kernel.
        dilation: Distance between taps.
        groups: Groups of channels that do not mix, a divisor of C and C'.
        bias: Bias of the convolution.
        radix: Number of splits R.
        reduction: The hidden layer is ``max(C * radix // reduction, 32)`` wide, rounded up to a
            multiple of the groups.
        pool: Whether a stride is a 3 x 3 average pooling of the result rather than the stride of
            the convolution.

    Shape:
        - x: $(N, C, H, W)$, any float dtype, N >= 2 in training (batch norm of the means).
        - output: $(N, C', H', W')$ as the plain convolution's.

    Raises:
        TypeError: If a number is not an integer, or a switch not a bool.
        ValueError: If an argument is out of range; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> SplitAttention(8, stride=2)(torch.rand(2, 8, 7, 5)).shape
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
        radix: int = 2,
        reduction: int = 4,
        pool: bool = True,
    ) -> None:
        super().__init__()
        who = "SplitAttention"
        conv = Convolution.checked(
            who, channels, out_channels, kernel, stride, padding, dilation, groups, bias
        )
        for name, value in (("radix", radix), ("reduction", reduction)):
            check_positive_int(who, name, value)
        check_flag(who, "pool", pool)
        check_channel_multiple(who, channels, radix)
        self.channels, self.radix = channels, radix
        shared = _is_shared(conv, radix)
        self.split_groups = groups if shared else 1
        wide, pooled = conv.out_channels * radix, pool and stride > 1
        self.conv = conv.changed(
            out_channels=wide,
            groups=groups if shared else groups * radix,
            stride=1 if pooled else stride,
        ).build()
        self.norm = nn.BatchNorm2d(wide)
        self.groups, hidden = _widths(conv, radix, reduction)
        self.squeeze = nn.Conv2d(conv.out_channels, hidden, 1, groups=self.groups)
        self.hidden_norm = nn.BatchNorm2d(hidden)
        self.choose = nn.Conv2d(hidden, wide, 1, groups=self.groups)
        self.pool = nn.AvgPool2d(3, stride, 1) if pooled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x to R splits and mix them per channel."""
        check_feature_map("SplitAttention", x, self.channels)
        # Groups come first where each gives all its splits; elsewhere there is but one.
        found = functional.relu(self.norm(self.conv(x)))
        found = torch.unflatten(found, 1, (self.split_groups, self.radix, -1))
        splits = found.transpose(1, 2).flatten(2, 3)
        mixed: Tensor = self.pool((splits * self._weights(splits)).sum(1))
        return mixed

    def _weights(self, splits: Tensor) -> Tensor:
        """Weights of the splits, (N, R, C', 1, 1)."""
        means = splits.sum(1).mean((2, 3), keepdim=True)
        hidden = functional.relu(self.hidden_norm(self.squeeze(means)))
        logits: Tensor = self.choose(hidden)
        logits = torch.unflatten(logits, 1, (self.groups, self.radix, -1)).transpose(1, 2)
        weights = logits.softmax(1) if self.radix > 1 else logits.sigmoid()
        return weights.flatten(2, 3)
