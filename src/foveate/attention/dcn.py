"""Deformable convolution: a convolution whose taps move to where a small convolution says.

Paper: Dai et al., Deformable Convolutional Networks, arXiv:1703.06211, eq. 2-4.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention.place import replaced_arguments
from foveate.attention.registry import Official, attention_spec, register
from foveate.core import Words, check_feature_map, check_flag, check_positive_int, expected
from foveate.ops import deform_conv2d
from foveate.ops.convolution import Convolution

# Take over the arguments of the convolution replaced, and leave its weights to it.
borrow = partial(replaced_arguments, own_kernel=False)

# A leaf for symbolic tracing: it looks at shapes and strides, which a proxy has not.
torch.fx.wrap("deform_conv2d")  # type: ignore[no-untyped-call]


def deformable_params(name: str, channels: int, **given: Any) -> int:
    """Parameters of ``dcn`` or ``dcnv2`` with the options given."""
    spec = attention_spec(name)
    o = {**spec.options, **given}
    offset_groups, own, _ = o.pop("offset_groups"), o.pop("own_kernel"), o.pop("mask_scale", None)
    conv = Convolution.checked(name, channels, **o)
    maps = _maps(spec.factory, conv, offset_groups)
    predictor = conv.changed(out_channels=maps, groups=1, bias=True)
    return predictor.parameters + (conv.parameters if own else 0)


def _params(channels: int, **given: Any) -> int:
    return deformable_params("dcn", channels, **given)


def _maps(factory: Any, conv: Convolution, offset_groups: int) -> int:
    return int(factory.per_tap * conv.kernel**2 * offset_groups)


@register(
    name="dcn",
    title="Deformable convolution",
    kind="convolution",
    paper="1703.06211",
    year=2017,
    site="replace_conv2@2..-1",
    params=_params,
    fit=borrow,
    borrows_kernel=True,
    official=Official(
        "msracver/Deformable-ConvNets", "6aeda87", "rfcn/symbols/resnet_v1_101_rfcn_dcn.py", "MIT"
    ),
    departs=(
        "in the stages 2 to 4; the paper's detectors have it in the last three blocks",
        "one offset group and the dilation of the network; the authors' R-FCN has 4 and 2",
        "a sample up to one pixel outside the map is blended with zeros, as in v2's code",
    ),
    verified=(
        "torchvision's deform_conv2d in float64, forward and gradients",
        "not the authors' code, which runs on CUDA devices alone",
    ),
)
class DeformableConv(nn.Module):
    r"""Deformable convolution, $y(p) = \sum_k w_k\, x(p s - q + k d + \Delta_k(p))$.

    The displacements $\Delta = \mathrm{conv}(x)$ in pixels come from a convolution of the same
    geometry; x between pixels is bilinear. It starts at zero, weight and bias: a fresh module is
    the plain convolution.

    Args:
        channels: Channels C of the input, at least 1.
        out_channels: Channels C' of the output; None for C.
        kernel: Kernel size in pixels.
        stride: Step s between output positions.
        padding: Zeros q around the input; None keeps the size at stride 1 for an odd kernel.
        dilation: Distance d between taps.
        groups: Groups of channels that do not mix, a divisor of C and C'.
        bias: Added to every output channel.
        offset_groups: Channel groups with displacements of their own, a divisor of C.
        own_kernel: Whether it has weights of its own. Without, it works with those it is handed:
            the network's convolution that it replaces keeps its weights.

    Shape:
        - x: $(N, C, H, W)$, any float dtype.
        - weight: $(C', C / G, k, k)$ and bias: $(C')$, where handed in.
        - output: $(N, C', H', W')$ as the plain convolution's.

    Raises:
        TypeError: If a number is not an integer, or a switch not a bool.
        ValueError: If an argument is out of range; in ``forward``, if x is not (N, C, H, W), or
            weights are handed to a module with its own, or none to one without.

    Example:
        >>> import torch
        >>> DeformableConv(8, stride=2)(torch.rand(2, 8, 7, 5)).shape
        torch.Size([2, 8, 4, 3])
    """

    per_tap = 2
    """Maps predicted for each tap: its displacement down and to the right."""

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
        offset_groups: int = 1,
        own_kernel: bool = True,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        self.geometry = conv = Convolution.checked(
            who, channels, out_channels, kernel, stride, padding, dilation, groups, bias
        )
        self.channels = channels
        self.offset_groups = check_positive_int(who, "offset_groups", offset_groups)
        if channels % offset_groups:
            rule = f"offset_groups that divide {channels} channels"
            raise ValueError(expected(who, rule, offset_groups))
        maps = _maps(type(self), conv, offset_groups)
        self.offset = conv.changed(out_channels=maps, groups=1, bias=True).build()
        for start in self.offset.parameters():
            nn.init.zeros_(start)
        # A plain convolution only lends its initialization.
        plain = conv.build() if check_flag(who, "own_kernel", own_kernel) else None
        self.weight = plain.weight if plain is not None else None
        self.bias = plain.bias if plain is not None else None

    def forward(
        self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        """Convolve x, each tap reading where its displacement points."""
        check_feature_map(type(self).__name__, x, self.channels)
        kernel, shift = self._kernel(weight, bias)
        offset, mask = self.predict(x)
        conv = self.geometry
        out: Tensor = deform_conv2d(
            x, offset, kernel, shift, conv.stride, conv.padding, conv.dilation, mask
        )
        return out

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict the displacements in pixels, (N, 2 D K, H', W'), and the mask if there is one.

        D offset groups, K taps row by row, then down and right. Autocast never rounds what is
        computed from them: the operator goes on in float32.
        """
        offset: Tensor = self.offset(x)
        return offset, None

    def extra_repr(self) -> str:
        """Name the geometry."""
        return f"{self.geometry}, offset_groups={self.offset_groups}"

    def _kernel(self, weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        who = type(self).__name__
        if self.weight is None:
            if weight is None:
                raise ValueError(
                    expected(who, "a weight, as it has none of its own", weight, "own_kernel=True")
                )
            return weight, bias
        # Not "is None": what a symbolic trace leaves open is a proxy, and comes to nothing.
        if isinstance(weight, Tensor) or isinstance(bias, Tensor):
            raise ValueError(
                expected(who, "no weight, as it has its own", Words("one"), "own_kernel=False")
            )
        return self.weight, self.bias
