"""What torch asks of an operator: schema, fake results, autograd, ahead-of-time graphs."""

import pytest
import torch
from operator_cases import lay_out, make_gate

import foveate.ops  # noqa: F401
from foveate.ops.deform.arguments import Wanted

OPERATORS = ("deform_conv2d", "deform_gate", "gate_epilogue", "instance_norm", "separable_conv2d")
OPTIONAL = ("bias", "mask", "ln_weight", "ln_bias")
# name: (dtype, layout, options of make_gate)
KINDS = {
    "float32": (torch.float32, "contiguous", {}),
    "float64, groups, nothing optional": (
        torch.float64,
        "channels-last",
        {"groups": 2, "offset_groups": 2, "without": OPTIONAL},
    ),
    "bfloat16, some optional": (
        torch.bfloat16,
        "channels-last",
        {"groups": 2, "without": ("bias", "ln_weight")},
    ),
    "float16, sliced": (torch.float16, "sliced", {"without": ("mask", "ln_bias")}),
}


def arguments(kind):
    """Arguments of every operator by its name, the backward ones included."""
    dtype, layout, options = KINDS[kind]
    found = {name: lay_out(one, layout) for name, one in make_gate(dtype=dtype, **options).items()}
    x, squeezed, offset, weight = (found[name] for name in ("x", "squeezed", "offset", "weight"))
    bias, mask, scale, shift = (found.get(name) for name in OPTIONAL)
    sizes = [1, 1, 1, 1, 1, 1, offset.shape[1] // 18]
    grad, other = x.flip(0).clone(), x.flip(1).clone()
    rows = torch.randn(x.numel() // x.shape[1], x.shape[1]).to(dtype)
    wanted = Wanted(True, True, True, bias is not None, mask is not None)
    one = x.new_ones(1, dtype=torch.promote_types(dtype, torch.float32))
    last = lay_out(x, "channels-last")
    depthwise, pointwise = torch.randn(6, 1, 3, 3).to(dtype), torch.randn(4, 6, 1, 1).to(dtype)
    return {
        "deform_conv2d": (squeezed, offset, weight, bias, mask, sizes),
        "deform_conv2d_backward": (grad, squeezed, offset, weight, mask, sizes, wanted),
        "deform_gate": (x, squeezed, offset, weight, bias, mask, scale, shift, 1e-5, sizes, True),
        "deform_gate_backward": (
            *(grad, x, squeezed, offset, weight, mask, scale, shift, rows, 1e-5, sizes, wanted),
        ),
        "gate_epilogue": (x, other, scale, shift, 1e-5),
        "gate_epilogue_backward": (grad, x, other, scale, shift, 1e-5),
        "instance_norm": (last, 1e-5),
        "instance_norm_backward": (grad, last, one.expand(x.shape[0], 1, x.shape[1]).clone()),
        "separable_conv2d": (last, depthwise, pointwise),
        "separable_conv2d_backward": (
            *(squeezed, last[:, :, : squeezed.shape[2]], depthwise, pointwise, [True] * 3),
        ),
    }


def check(name, args):
    torch.library.opcheck(getattr(torch.ops.foveate, name).default, args)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPERATORS)
def test_operators_keep_their_contract_with_torch(name, kind):
    args = arguments(kind)[name]
    check(name, args)
    leaves = [
        one.detach().requires_grad_() if isinstance(one, torch.Tensor) else one for one in args
    ]
    check(name, leaves)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPERATORS)
def test_their_backward_operators_do_too(name, kind):
    name = f"{name}_backward"
    args = arguments(kind)[name]
    check(name, args)
    if isinstance(args[-1], Wanted | list):
        for part in (
            [False] * len(args[-1]),
            [one and not i % 2 for i, one in enumerate(args[-1])],
        ):
            check(name, (*args[:-1], part))


def test_the_gate_keeps_nothing_without_gradients():
    args = arguments("float32")["deform_gate"]
    check("deform_gate", (*args[:-1], False))
    _, kept = torch.ops.foveate.deform_gate(*args[:-1], False)
    assert kept.numel() == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPERATORS)
def test_backward_results_lie_where_the_fake_ones_lie(name, kind):
    """Strides too, which a compiler takes from the fake results; opcheck skips some of them."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    for suffix in ("", "_backward"):
        args = arguments(kind)[name + suffix]
        run = getattr(torch.ops.foveate, name + suffix)
        real = run(*args)
        with FakeTensorMode() as mode:
            fake = run(*(mode.from_tensor(o) if isinstance(o, torch.Tensor) else o for o in args))
        if isinstance(real, torch.Tensor):
            real, fake = [real], [fake]
        for one, other in zip(real, fake, strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            long = [place for place, size in enumerate(one.shape) if size > 1]
            assert [one.stride(i) for i in long] == [other.stride(i) for i in long]
