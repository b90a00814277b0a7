"""The backends of the deformable convolution, in the order of choice.

Each takes ``(input, offset, weight, bias, mask, geometry)``, checked.
"""

from __future__ import annotations

from foveate.ops.backends import Backend
from foveate.ops.deform import reference
from foveate.ops.deform import torch as torch_backend
from foveate.ops.deform import triton as triton_backend

BACKENDS: tuple[Backend, ...] = (
    Backend("triton", triton_backend.deform_conv2d, triton_backend.why_not),
    Backend("torch", torch_backend.deform_conv2d),
    Backend("reference", reference.deform_conv2d),
)
