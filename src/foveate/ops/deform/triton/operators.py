"""The operator ``foveate::deform_conv2d``: kernels, shapes for tracing, derivatives.

``triton_op`` shows its kernels to ``torch.compile`` and to AOTInductor, so that a network with
them becomes one graph. The backward pass is opaque instead: it walks over the batch in steps whose
number depends on the sizes, and reads the switch for deterministic algorithms when it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op, triton_op

from foveate.ops.deform.arguments import Geometry
from foveate.ops.deform.triton import forward, plan
from foveate.ops.deform.triton.backward import gradients
from foveate.ops.deform.triton.differentiable import differentiate
from foveate.ops.deform.triton.launch import blocks, launch
from foveate.ops.deform.triton.layout import flat, pack_rows, pack_weight, sections_of

_TENSORS = "Tensor input, Tensor offset, Tensor weight, Tensor? bias, Tensor? mask"


def sizes_of(geometry: Geometry) -> list[int]:
    """The geometry as the integers that an operator can take."""
    return [
        *geometry.kernel,
        *geometry.stride,
        *geometry.padding,
        *geometry.dilation,
        *geometry.out,
        geometry.groups,
        geometry.offset_groups,
    ]


def geometry_from(sizes: Sequence[int]) -> Geometry:
    """Undo ``sizes_of``."""
    pairs = [(sizes[at], sizes[at + 1]) for at in range(0, 10, 2)]
    return Geometry(*pairs, groups=sizes[10], offset_groups=sizes[11])
