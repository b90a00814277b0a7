"""Sizes and tensors for the tests of operators, shared by their files."""

import torch

from foveate.ops import deform_conv2d
from foveate.ops.deform import gather
from foveate.ops.deform.arguments import geometry_of

# name: (N, C, H, W, C_out, kernel, groups, offset groups, stride, padding, dilation)
CASES = {
    "gate": (2, 5, 7, 6, 8, (3, 3), 1, 1, 1, 1, 1),
    "odd": (2, 6, 9, 8, 4, (3, 2), 2, 3, (2, 1), (1, 0), (2, 1)),
    "one pixel": (1, 2, 1, 1, 3, (3, 3), 1, 1, 1, 1, 1),
    "one row": (1, 4, 1, 9, 4, (1, 3), 4, 2, 1, (0, 1), 1),
    "one column": (2, 3, 9, 1, 6, (3, 1), 3, 1, 1, (1, 0), 1),
    "empty batch": (0, 4, 5, 5, 3, (3, 3), 1, 1, 1, 1, 1),
}
LAYOUTS = ("contiguous", "channels-last", "sliced", "expanded", "misaligned", "turned")


# The backends of a CPU, and the differentiable form that one of them falls back to.
FORMS = ("reference", "torch", "gather")


def convolve(form, input, offset, weight, bias=None, stride=1, padding=0, dilation=1, mask=None):
    """The deformable convolution by a backend's name, or in its gather form."""
    if form != "gather":
        return deform_conv2d(
            input, offset, weight, bias, stride, padding, dilation, mask, backend=form
        )
    geometry = geometry_of(input, offset, weight, bias, stride, padding, dilation, mask)
    return gather.deform_conv2d(input, offset, weight, bias, mask, geometry)


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def make(case, mask=True, bias=True, dtype=torch.float64, spread=2.0):
    """Tensors and sizes of a deformable convolution; offsets lie off the integers."""
    sizes = CASES[case] if isinstance(case, str) else case
    n, c, h, w, out, kernel, groups, offset_groups, stride, padding, dilation = sizes
    g = torch.Generator().manual_seed(3)
    size = [
        (s + 2 * p - d * (k - 1) - 1) // t + 1
        for s, p, d, k, t in zip(
            (h, w), pair(padding), pair(dilation), kernel, pair(stride), strict=True
        )
    ]
    taps = kernel[0] * kernel[1]

    def draw(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64).to(dtype)

    tensors = {
        "input": draw(n, c, h, w),
        "offset": draw(n, 2 * offset_groups * taps, *size) * spread + 0.13,
        "weight": draw(out, c // groups, *kernel),
        "bias": draw(out) if bias else None,
        # A clamp and not a sigmoid, whose last bits depend on the number of threads.
        "mask": (draw(n, offset_groups * taps, *size) / 4 + 0.5).clamp(0.02, 0.98)
        if mask
        else None,
    }
    return tensors, {"stride": stride, "padding": padding, "dilation": dilation}


def make_gate(
    size=(2, 6, 7, 6),
    squeezed=4,
    kernel=(3, 3),
    groups=1,
    offset_groups=1,
    without=(),
    dtype=torch.float64,
    spread=1.0,
):
    """Tensors of ``deform_gate`` by name, less those named in ``without``."""
    batch, channels, height, width = size
    padding = tuple(one // 2 for one in kernel)
    case = (batch, squeezed, height, width, channels)
    case += (kernel, groups, offset_groups, 1, padding, 1)
    tensors, _ = make(case, dtype=dtype, spread=spread)
    g = torch.Generator().manual_seed(4)

    def draw(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64).to(dtype)

    tensors["squeezed"] = tensors.pop("input")
    tensors = {"x": draw(*size), **tensors, "ln_weight": draw(channels), "ln_bias": draw(channels)}
    return {name: value for name, value in tensors.items() if name not in without}


def lay_out(tensor, layout):
    """Put equal values into another place of memory; ``expanded`` repeats the first image."""
    if tensor.dim() != 4:
        layout = "misaligned" if layout == "misaligned" else "contiguous"
    if layout == "channels-last":
        return tensor.contiguous(memory_format=torch.channels_last)
    if layout == "sliced":
        n, c, h, w = tensor.shape
        wide = tensor.new_full((n, c + 2, h, 2 * w + 1), float("nan"))
        wide[:, 1:-1, :, 1::2] = tensor
        return wide[:, 1:-1, :, 1::2]
    if layout == "expanded":
        return tensor[:1].expand_as(tensor) if tensor.shape[0] else tensor
    if layout == "misaligned":
        return torch.cat([tensor.new_zeros(1), tensor.flatten()])[1:].view(tensor.shape)
    if layout == "turned":
        return tensor.transpose(2, 3).contiguous().transpose(2, 3)
    return tensor.contiguous()


def leaf_gradients(run, tensors, upstream=None):
    """Output and gradients by name, of the tensors as they lie in memory, without a copy."""
    leaves = {name: one.detach().requires_grad_() for name, one in tensors.items()}
    out = run(**leaves)
    if upstream is None:
        generator = torch.Generator().manual_seed(1)
        upstream = torch.randn(out.shape, generator=generator, dtype=torch.float64).to(out)
    grads = torch.autograd.grad(out, list(leaves.values()), upstream)
    return out.detach(), dict(zip(leaves, grads, strict=True))
