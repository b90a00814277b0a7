"""Second-order statistics: the covariance of channels and its square root by products alone.

Papers: Gao et al., Global Second-order Pooling Convolutional Networks, arXiv:1811.12006; Li et al.,
Towards Faster Training of Global Covariance Pooling Networks, arXiv:1712.01034, sec. 3.
"""

from __future__ import annotations

import torch
from torch import Tensor

from foveate.core import Words, check_positive_int, expected
from foveate.ops.autocast import is_autocast_on


def covariance(x: Tensor) -> Tensor:
    r"""Covariance of the channels over all positions, $\frac{1}{M}\sum_p (x_p-\mu)(x_p-\mu)^\top$.

    The mean is taken off before the product, so a large one costs no digits. One position alone
    has covariance 0.

    Args:
        x: The map, or its positions in a row.

    Shape:
        - x: $(N, d, M)$ or $(N, d, H, W)$ with $M = H W \ge 1$; output: $(N, d, d)$.

    Dtype:
        Computed and returned in float32 at least, under autocast too.

    Raises:
        TypeError: If x is not a floating tensor.
        ValueError: If it has another rank or no positions.

    Source: Gao et al., arXiv:1811.12006, eq. 1.

    Example:
        >>> covariance(torch.tensor([[[1.0, 3.0], [0.0, 4.0]]]))
        tensor([[[1., 2.],
                 [2., 4.]]])
    """
    _check_floating("covariance", "x", x)
    if x.dim() not in (3, 4) or 0 in x.shape[2:]:
        raise ValueError(
            expected("covariance", "x of shape (N, d, M) or (N, d, H, W)", tuple(x.shape))
        )
    device = x.device.type
    if is_autocast_on(device):
        with torch.autocast(device, enabled=False):
            return covariance(x)
    rows = _wide(x.flatten(2))
    centered = rows - rows.mean(2, keepdim=True)
    return centered @ centered.transpose(1, 2) / rows.shape[2]


def isqrt(matrix: Tensor, iterations: int = 3) -> Tensor:
    r"""Square root of symmetric non-negative matrices by coupled Newton-Schulz steps.

    $Y_{k+1} = Y_k T_k,\; Z_{k+1} = T_k Z_k$ with $T_k = \frac12(3I - Z_k Y_k)$, from
    $Y_0 = A / \mathrm{tr} A,\; Z_0 = I$; the result is $\sqrt{\mathrm{tr} A}\, Y$. Few steps give
    an approximation whose small eigenvalues are too small, which is what networks are trained with.
    The root of a zero matrix is zero, and so is its gradient.

    Args:
        matrix: The matrices.
        iterations: Steps.

    Shape:
        - matrix: $(\dots, d, d)$; output: the same.

    Dtype:
        Computed and returned in float32 at least, under autocast too.

    Raises:
        TypeError: If ``matrix`` is not a floating tensor, or ``iterations`` not an integer.
        ValueError: If the matrices are not square, or ``iterations`` is below 1.

    Source: Li et al., arXiv:1712.01034, eq. 3-5.

    Example:
        >>> isqrt(torch.diag(torch.tensor([4.0, 9.0])), iterations=20).round(decimals=4)
        tensor([[2., 0.],
                [0., 3.]])
    """
    _check_floating("isqrt", "matrix", matrix)
    check_positive_int("isqrt", "iterations", iterations)
    if matrix.dim() < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(
            expected("isqrt", "a matrix of shape (..., d, d)", tuple(matrix.shape)),
        )
    device = matrix.device.type
    if is_autocast_on(device):
        with torch.autocast(device, enabled=False):
            return isqrt(matrix, iterations)
    wide = _wide(matrix)
    trace = wide.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    # The bound is far below any trace of use, and its own inverse is far from overflowing.
    trace = trace.clamp_min(torch.finfo(wide.dtype).tiny ** 0.5)
    eye = torch.eye(wide.shape[-1], dtype=wide.dtype, device=wide.device)
    root = wide / trace
    step = 1.5 * eye - 0.5 * root
    inverse = step
    root = root @ step
    for _ in range(iterations - 1):
        step = 1.5 * eye - 0.5 * (inverse @ root)
        root, inverse = root @ step, step @ inverse
    return root * trace.sqrt()


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _check_floating(who: str, name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(expected(who, f"a tensor {name}", Words(type(value).__name__)))
    if not value.is_floating_point():
        raise TypeError(expected(who, f"{name} of a floating dtype", value.dtype))
