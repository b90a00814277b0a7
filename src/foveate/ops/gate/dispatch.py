"""The public functions: checks, autocast, choice of the backend."""

from __future__ import annotations

import torch
from torch import Tensor

from foveate.core import Words, expected
from foveate.ops.autocast import is_autocast_on
from foveate.ops.backends import choose
from foveate.ops.deform.arguments import cast_for_autocast, geometry_of
from foveate.ops.gate.backends import EPILOGUES, GATES


def deform_gate(
    x: Tensor,
    squeezed: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    ln_weight: Tensor | None = None,
    ln_bias: Tensor | None = None,
    eps: float = 1e-5,
    *,
    backend: str | None = None,
) -> Tensor:
    r"""Gate a map by a deformable convolution, $x \cdot \sigma(\mathrm{LN}(\mathrm{deform}(t)))$.

    The LayerNorm is over channels at each pixel. Stride and dilation are 1, and the padding keeps
    the size, so the kernel is odd.

    Args:
        x: The map to gate.
        squeezed: The map t that the convolution reads.
        offset: Displacement of every tap in pixels, as for ``deform_conv2d``.
        weight: Kernel of the convolution.
        bias: Its bias.
        mask: Modulation of every tap.
        ln_weight: Scale of the LayerNorm.
        ln_bias: Shift of the LayerNorm.
        eps: Added to the variance.
        backend: A name of ``GATES``; None takes the fastest that can run.

    Shape:
        - x: $(N, C, H, W)$; squeezed: $(N, r, H, W)$; offset: $(N, 2 D K, H, W)$;
          mask: $(N, D K, H, W)$; weight: $(C, r / G, k_h, k_w)$; the rest: $(C,)$.
        - output: as x, its dtype, channels-last if x is.

    Dtype:
        x may be float32 beside a half-precision convolution, as under autocast. Coordinates, norm
        and sigmoid are computed in float32 at least.

    Determinism:
        On a CPU results and gradients are bit-equal from run to run and for any number of threads.

    Raises:
        TypeError: If dtypes do not fit.
        ValueError: If shapes do not fit, or the backend is unknown or cannot run (it says why).

    Example:
        >>> x, t, weight = torch.rand(1, 8, 5, 5), torch.rand(1, 2, 5, 5), torch.rand(8, 2, 3, 3)
        >>> deform_gate(x, t, torch.zeros(1, 18, 5, 5), weight).shape
        torch.Size([1, 8, 5, 5])

    Source: arXiv:2311.12091, eq. 2-4.
    """
    who = "deform_gate"
    convolution = cast_for_autocast(squeezed, offset, weight, bias, mask)
    squeezed, offset, weight, bias, mask = convolution
    # Integers even under a tracer, which makes tensors of sizes.
    sizes = weight.shape[2:] if isinstance(weight, Tensor) else (1, 1)
    padding = tuple(int(size) // 2 for size in sizes)
    geometry = geometry_of(squeezed, offset, weight, bias, 1, padding, 1, mask)
    want = (squeezed.shape[0], weight.shape[0], *geometry.out)
    if tuple(x.shape) != want:
        raise ValueError(expected(who, f"x of shape {want}", tuple(x.shape)))
    _check_norm(who, x, squeezed, ln_weight, ln_bias)
    run = choose(who, GATES, backend, squeezed).run
    tensors = (x, squeezed, offset, weight, bias, mask, ln_weight, ln_bias)
    if not is_autocast_on(x.device.type):
        return run(*tensors, eps, geometry)
    with torch.autocast(x.device.type, enabled=False):
        return run(*tensors, eps, geometry)


def gate_epilogue(
    x: Tensor,
    mixed: Tensor,
    ln_weight: Tensor | None = None,
    ln_bias: Tensor | None = None,
    eps: float = 1e-5,
    *,
    backend: str | None = None,
) -> Tensor:
    r"""Gate a map by another, $x \cdot \sigma(\mathrm{LN}(m))$, LayerNorm over channels.

    Args:
        x: The map to gate.
        mixed: The map m that decides.
        ln_weight: Scale of the LayerNorm.
        ln_bias: Shift of the LayerNorm.
        eps: Added to the variance.
        backend: A name of ``EPILOGUES``; None takes the fastest that can run.

    Shape:
        - x, mixed: $(N, C, H, W)$; ln_weight, ln_bias: $(C,)$.
        - output: as x, its dtype, channels-last if x is.

    Dtype:
        Computed in float32 at least.

    Raises:
        TypeError: If dtypes do not fit.
        ValueError: If shapes do not fit, or the backend is unknown or cannot run (it says why).

    Example:
        >>> x = torch.rand(1, 8, 5, 5)
        >>> torch.equal(gate_epilogue(x, torch.zeros_like(x)), x / 2)
        True

    Source: arXiv:2311.12091, eq. 3 and 4.
    """
    who = "gate_epilogue"
    if not mixed.is_floating_point():
        raise TypeError(expected(who, "mixed of a floating dtype", mixed.dtype))
    if mixed.dim() != 4 or x.shape != mixed.shape:
        shapes = Words(f"{tuple(x.shape)} and {tuple(mixed.shape)}")
        raise ValueError(expected(who, "x and mixed of one shape (N, C, H, W)", shapes))
    _check_norm(who, x, mixed, ln_weight, ln_bias)
    run = choose(who, EPILOGUES, backend, mixed).run
    if not is_autocast_on(x.device.type):
        return run(x, mixed, ln_weight, ln_bias, eps)
    with torch.autocast(x.device.type, enabled=False):
        return run(x, mixed, ln_weight, ln_bias, eps)


def _check_norm(
    who: str, x: Tensor, inner: Tensor, ln_weight: Tensor | None, ln_bias: Tensor | None
) -> None:
    """Check dtypes of the two maps, and shape and dtype of scale and shift."""
    allowed = {inner.dtype, torch.promote_types(inner.dtype, torch.float32)}
    for name, one in (("x", x), ("ln_weight", ln_weight), ("ln_bias", ln_bias)):
        if one is not None and one is not x and tuple(one.shape) != (x.shape[1],):
            raise ValueError(expected(who, f"{name} of shape ({x.shape[1]},)", tuple(one.shape)))
        if one is not None and one.dtype not in allowed:
            names = " or ".join(sorted(str(one) for one in allowed))
            raise TypeError(expected(who, f"{name} of dtype {names}", one.dtype, "cast it"))
