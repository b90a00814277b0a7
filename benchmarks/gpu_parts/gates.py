"""The gates that compete, on one set of tensors."""

import torch
from torch.nn import functional

from foveate.ops.deform.arguments import geometry_of
from foveate.ops.gate import reference
from foveate.ops.gate.triton import deform_gate
from foveate.ops.norm import channel_layer_norm
from gpu_parts import SMOKE

DEVICE = "cpu" if SMOKE else "cuda"
HALF = torch.float16 if SMOKE else torch.bfloat16  # the interpreter multiplies no bfloat16
BATCH = 1 if SMOKE else 64
# Channels C, squeezed channels r, height, width: the stages of a ResNet-50 at 224 pixels.
STAGES = ((256, 51, 56, 56), (512, 102, 28, 28), (1024, 204, 14, 14), (2048, 409, 7, 7))
if SMOKE:
    STAGES = ((32, 6, 3, 4),)
EPS = 1e-5


def draw(*shape, dtype=None):
    return torch.randn(*shape, device=DEVICE).to(dtype or torch.float32)


def tensors_of(stage, batch=BATCH, dtype=HALF, wide=torch.float32):
    """The tensors of a gate, maps channels-last, offsets spread over about two pixels."""
    channels, squeezed, height, width = stage

    def last(x):
        return x.to(memory_format=torch.channels_last)

    return {
        "x": last(draw(batch, channels, height, width, dtype=dtype)),
        "squeezed": last(draw(batch, squeezed, height, width, dtype=dtype)),
        "offset": 1.5 * draw(batch, 18, height, width, dtype=wide),
        "weight": draw(channels, squeezed, 3, 3, dtype=dtype) / (3 * squeezed**0.5),
        "mask": draw(batch, 9, height, width, dtype=wide).sigmoid(),
        "ln_weight": 1 + 0.1 * draw(channels, dtype=wide),
        "ln_bias": 0.1 * draw(channels, dtype=wide),
    }


def parameters_of(stage, dtype=HALF):
    """The tensors of a whole gate, which predicts offsets and mask itself."""
    tensors = tensors_of(stage, dtype=dtype)
    channels, squeezed = stage[:2]
    own = {
        "depthwise": draw(channels, 1, 3, 3, dtype=dtype) / 3,
        "pointwise": draw(squeezed, channels, 1, 1, dtype=dtype) / channels**0.5,
        "predict": draw(27, squeezed, 3, 3, dtype=dtype) * 0.05,
    }
    return own | {name: tensors[name] for name in ("x", "weight", "ln_weight", "ln_bias")}


def whole(run):
    """The gate with its squeeze and its prediction of offsets and mask, the same for all."""

    def gate(x, depthwise, pointwise, predict, weight, ln_weight, ln_bias):
        mixed = functional.conv2d(x, depthwise, padding=1, groups=x.shape[1])
        mixed = functional.instance_norm(functional.conv2d(mixed, pointwise))
        squeezed = functional.gelu(mixed)
        maps = functional.conv2d(squeezed, predict, padding=1).float()
        offset, mask = maps[:, :18], maps[:, 18:].sigmoid()
        return run(x, squeezed, offset, weight, mask, ln_weight, ln_bias)

    return gate


def gated(function):
    """A gate on keyword tensors from a backend's function."""

    def run(x, squeezed, offset, weight, mask, ln_weight, ln_bias):
        geometry = geometry_of(squeezed, offset, weight, None, 1, 1, 1, mask)
        return function(x, squeezed, offset, weight, None, mask, ln_weight, ln_bias, EPS, geometry)

    return run


def by_convolution(convolve):
    """A gate in eager mode around any convolution of (squeezed, offset, weight, mask)."""

    def run(x, squeezed, offset, weight, mask, ln_weight, ln_bias):
        mixed = convolve(squeezed, offset, weight, mask)
        gate = channel_layer_norm(mixed.float(), ln_weight, ln_bias, EPS).sigmoid()
        return x * gate.to(x.dtype)

    return run


def contestants():
    """Gates by name; a reason instead where one cannot take part."""

    def plain(squeezed, offset, weight, mask):
        return functional.conv2d(squeezed, weight, padding=1)

    found = {"foveate": gated(deform_gate), "conv": by_convolution(plain)}
    found["gather"] = gated(reference.differentiable_gate)
    reasons = {}
    try:
        from torchvision.ops import deform_conv2d as vision

        def in_float32(squeezed, offset, weight, mask):
            # What its own autocast rule does: there is no bfloat16 kernel.
            wide = (squeezed.float(), offset, weight.float())
            return vision(*wide, padding=1, mask=mask).to(squeezed.dtype)

        def in_float16(squeezed, offset, weight, mask):
            half = (one.half() for one in (squeezed, offset, weight))
            return vision(*half, padding=1, mask=mask.half()).to(squeezed.dtype)

        found["torchvision-float32"] = by_convolution(in_float32)
        found["torchvision-float16"] = by_convolution(in_float16)
    except Exception as error:
        reasons["torchvision"] = f"cannot be imported: {error}"
    try:
        from deformops.integrations.torchvision import deform_conv2d as other

        def by_other(squeezed, offset, weight, mask):
            low = (squeezed, offset.to(squeezed.dtype), weight)
            return other(*low, padding=(1, 1), mask=mask.to(squeezed.dtype))

        found["deformops"] = by_convolution(by_other)
    except Exception as error:
        reasons["deformops"] = f"cannot be imported: {error}"
    return found, reasons
