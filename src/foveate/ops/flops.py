"""Operations of one forward pass, with the deformable convolution and the norms counted.

``torch.utils.flop_counter`` counts convolutions and matrix products alone, and every counter of
the field leaves a deformable convolution out in silence. Here the operator of torchvision has a
formula, and norms and adaptive pooling are counted as the field's parameter tables do (2
operations an element, 4 with learned scale and shift), so that both conventions differ by
nothing but the deformable kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

_ATEN = torch.ops.aten


def _size(shape: Any) -> int:
    return int(torch.Size(shape).numel())


def _norm_flops(input_shape: Any, weight_shape: Any, *_: Any, **__: Any) -> int:
    # Twice the multiply-accumulates: the counter counts both halves of one.
    return 2 * (2 if weight_shape is None else 4) * _size(input_shape)


def _layer_norm_flops(
    input_shape: Any, _normalized: Any, weight_shape: Any, *_: Any, **__: Any
) -> int:
    return _norm_flops(input_shape, weight_shape)


def _pool_flops(input_shape: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return 2 * (_size(input_shape) + _size(out_shape))


def _mean_flops(input_shape: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    # Global average pooling arrives as a mean over the two last axes.
    pooled = len(input_shape) == 4 and _size(out_shape) == input_shape[0] * input_shape[1]
    return _pool_flops(input_shape, out_shape=out_shape) if pooled else 0


def _attention_flops(query_shape: Any, key_shape: Any, value_shape: Any, *_: Any, **__: Any) -> int:
    # Likenesses of queries and keys, then sums of values; torch up to 2.13 counts none on a CPU.
    # Widths are those computed: the zeros that `attend` adds for a CPU's kernel are among them.
    widths = query_shape[-1] + value_shape[-1]
    return int(2 * _size(query_shape[:-1]) * key_shape[-2] * widths)


def deform_conv2d_flops(
    input_shape: Any, weight_shape: Any, *_: Any, out_shape: Any, **__: Any
) -> int:
    """FLOPs of a deformable convolution's matrix product; bilinear sampling is left out.

    2 * N * C_out * H' * W' * (C_in / G) * K, twice the MACs of the ordinary convolution.
    """
    return 2 * _size(out_shape) * _size(weight_shape[1:])


def _own_kernel_flops(
    input_shape: Any, _offset: Any, weight_shape: Any, *_: Any, out_shape: Any, **__: Any
) -> int:
    return deform_conv2d_flops(input_shape, weight_shape, out_shape=out_shape)


def _own_kernel_backward_flops(
    _grad: Any, input_shape: Any, offset_shape: Any, weight_shape: Any, *_: Any, **__: Any
) -> int:
    # As long as the operator itself does: the columns' gradient and the kernel's, each a product.
    pixels = _size(offset_shape[0:1]) * _size(offset_shape[2:])
    return 4 * pixels * _size(weight_shape)


def _separable_flops(
    x_shape: Any, depthwise_shape: Any, pointwise_shape: Any, *_: Any, **__: Any
) -> int:
    pixels = x_shape[0] * _size(x_shape[2:])
    return int(2 * pixels * (_size(depthwise_shape) + _size(pointwise_shape)))


def _instance_norm_flops(x_shape: Any, *_: Any, **__: Any) -> int:
    return _norm_flops(x_shape, None)


def _epilogue_flops(x_shape: Any, _mixed: Any, ln_weight_shape: Any, *_: Any, **__: Any) -> int:
    return _norm_flops(x_shape, ln_weight_shape)


def _gate_flops(
    x_shape: Any,
    _squeezed: Any,
    _offset: Any,
    weight_shape: Any,
    _bias: Any,
    _mask: Any,
    ln_weight_shape: Any,
    *_: Any,
    **__: Any,
) -> int:
    kernel = deform_conv2d_flops(_squeezed, weight_shape, out_shape=x_shape)
    return kernel + _norm_flops(x_shape, ln_weight_shape)


def _gate_backward_flops(_grad: Any, _x: Any, *rest: Any, **__: Any) -> int:
    return _own_kernel_backward_flops(_grad, *rest)


_OWN: dict[str, Callable[..., int]] = {
    "deform_conv2d": _own_kernel_flops,
    "deform_conv2d_backward": _own_kernel_backward_flops,
    "deform_gate": _gate_flops,
    "deform_gate_backward": _gate_backward_flops,
    "gate_epilogue": _epilogue_flops,
    "instance_norm": _instance_norm_flops,
    "separable_conv2d": _separable_flops,
}


def flop_formulas() -> dict[Any, Callable[..., int]]:
    """The formulas that ``FlopCounterMode(custom_mapping=...)`` lacks, by operator.

    Torchvision's operator is among them where torchvision has been imported.
    """
    formulas: dict[Any, Callable[..., int]] = {
        _ATEN.native_batch_norm: _norm_flops,
        _ATEN._native_batch_norm_legit: _norm_flops,
        _ATEN._native_batch_norm_legit_no_training: _norm_flops,
        _ATEN._batch_norm_with_update: _norm_flops,
        _ATEN.cudnn_batch_norm: _norm_flops,
        _ATEN.native_group_norm: _norm_flops,
        _ATEN.native_layer_norm: _layer_norm_flops,
        _ATEN._adaptive_avg_pool2d: _pool_flops,
        _ATEN.mean: _mean_flops,
        _ATEN._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    }
    own = torch.ops.foveate
    for name, formula in _OWN.items():
        # The kernels for GPUs are registered when they are first used.
        for operator in (name, f"{name}_triton"):
            if hasattr(own, operator):
                formulas[getattr(own, operator)] = formula
    vision = torch.ops.torchvision
    if hasattr(vision, "deform_conv2d"):
        formulas[vision.deform_conv2d] = deform_conv2d_flops
    return formulas


def count_macs(run: Callable[[], object], modules: bool = False) -> tuple[int, dict[str, int]]:
    """Count the multiply-accumulates of ``run()``.

    Args:
        run: What to count, called once without gradients.
        modules: Whether to split the count by module name.

    Returns:
        The total, and the MACs by module name ("Global" is the whole), empty without ``modules``.
    """
    counter = FlopCounterMode(display=False, custom_mapping=flop_formulas())
    with torch.no_grad(), counter:
        run()
    split = counter.get_flop_counts() if modules else {}
    by_module = {name: sum(ops.values()) // 2 for name, ops in split.items()}
    return counter.get_total_flops() // 2, by_module
