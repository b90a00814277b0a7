"""The public function: checks, autocast, choice of the backend."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from foveate.ops.autocast import is_autocast_on
from foveate.ops.backends import choose
from foveate.ops.deform.arguments import cast_for_autocast, geometry_of
from foveate.ops.deform.backends import BACKENDS


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    mask: Tensor | None = None,
    *,
    backend: str | None = None,
) -> Tensor:
    r"""Deformable convolution v1, or v2 with a mask: a convolution whose taps are moved.

    $y(p) = \sum_k w_k \, m_k(p) \, x(p s - q + k d + \Delta_k(p))$, where $x$ between pixels is
    bilinear and outside the map zero. Argument for argument ``torchvision.ops.deform_conv2d``.

    Args:
        input: The features x.
        offset: Displacement of every tap in pixels, channels in the order (offset group, tap,
            (y, x)), taps row by row.
        weight: Kernel w.
        bias: Added to every output channel.
        stride: Step s between output positions.
        padding: Zeros q around the input.
        dilation: Distance d between taps.
        mask: Modulation m of every tap (v2), channels in the order (offset group, tap).
        backend: ``"triton"``, ``"torch"`` or ``"reference"``; None takes the first of them that can
            run.

    Shape:
        - input: $(N, C, H, W)$.
        - offset: $(N, 2 D K, H', W')$ with K taps and D offset groups.
        - weight: $(C', C / G, k_h, k_w)$; bias: $(C',)$; mask: $(N, D K, H', W')$.
        - output: $(N, C', H', W')$, dtype of input, channels-last if input is.

    Dtype:
        float64, float32, bfloat16, float16. Coordinates and blending are in float32 at least;
        offset and mask may be float32 beside half features. Autocast casts features and weights,
        never coordinates.

    Non-finite offsets:
        A NaN gives NaN at that output pixel only. An infinite or huge offset reads zero, with a
        zero gradient. Nothing crashes.

    Raises:
        TypeError: If dtypes do not fit.
        ValueError: If shapes do not fit, or the backend is unknown or cannot run (it says why).

    Example:
        >>> x, weight = torch.rand(1, 4, 8, 8), torch.rand(6, 4, 3, 3)
        >>> offset = torch.zeros(1, 18, 8, 8)
        >>> y = deform_conv2d(x, offset, weight, padding=1)
        >>> torch.allclose(y, torch.nn.functional.conv2d(x, weight, padding=1), atol=1e-5)
        True

    Source: Dai et al., arXiv:1703.06211, eq. 2-4; Zhu et al., arXiv:1811.11168, eq. 1.
    """
    tensors = cast_for_autocast(input, offset, weight, bias, mask)
    geometry = geometry_of(*tensors[:4], stride, padding, dilation, tensors[4])
    input, offset, weight, bias, mask = tensors
    device = input.device.type
    run = choose("deform_conv2d", BACKENDS, backend, input).run
    if not is_autocast_on(device):
        return run(input, offset, weight, bias, mask, geometry)
    with torch.autocast(device, enabled=False):
        return run(input, offset, weight, bias, mask, geometry)
