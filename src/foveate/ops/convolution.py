"""The arguments of a convolution that an attention stands in for, checked once for all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from foveate.core import check_flag, check_positive_int, expected


@dataclass(frozen=True)
class Convolution:
    """A convolution of one kernel size, stride, padding and dilation for both axes.

    Attributes:
        channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Kernel size in pixels.
        stride: Step between output positions in pixels.
        padding: Zeros around the input in pixels.
        dilation: Distance between taps in pixels.
        groups: Groups of channels that do not mix.
        bias: Whether it has a bias.
    """

    channels: int
    out_channels: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    groups: int
    bias: bool

    @classmethod
    def checked(
        cls,
        who: str,
        channels: int,
        out_channels: int | None = None,
        kernel: int = 3,
        stride: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> Convolution:
        """Check the arguments and fill in those left open.

        Args:
            who: Whose arguments they are, for errors.
            channels: See above.
            out_channels: None for as many as ``channels``.
            kernel: See above.
            stride: See above.
            padding: None to keep the size of the map at stride 1, which wants an odd kernel.
            dilation: See above.
            groups: A divisor of both numbers of channels.
            bias: See above.

        Raises:
            TypeError: If one of the numbers is no integer, or ``bias`` no bool.
            ValueError: If one is out of range or they do not fit together.

        Example:
            >>> Convolution.checked("example", 8, dilation=2).padding
            2
        """
        outputs = channels if out_channels is None else out_channels
        for name, value in (
            ("channels", channels),
            ("out_channels", outputs),
            ("kernel", kernel),
            ("stride", stride),
            ("dilation", dilation),
            ("groups", groups),
        ):
            check_positive_int(who, name, value)
        check_flag(who, "bias", bias)
        if padding is None and kernel % 2 == 0:
            raise ValueError(expected(who, "an odd kernel where padding is open", kernel))
        zeros = dilation * (kernel - 1) // 2 if padding is None else padding
        check_positive_int(who, "padding", zeros, minimum=0)
        if channels % groups or outputs % groups:
            rule = f"groups that divide {channels} and {outputs} channels"
            raise ValueError(expected(who, rule, groups))
        return cls(channels, outputs, kernel, stride, zeros, dilation, groups, bias)

    @property
    def span(self) -> int:
        """Pixels from the first tap to the last, both included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        weights = self.kernel**2 * self.channels // self.groups * self.out_channels
        return weights + (self.out_channels if self.bias else 0)

    def changed(self, **arguments: Any) -> Convolution:
        """The same convolution but for some arguments."""
        return replace(self, **arguments)

    def build(self) -> nn.Conv2d:
        """Make the layer, with the ordinary initialization."""
        return nn.Conv2d(
            self.channels,
            self.out_channels,
            self.kernel,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.bias,
        )
