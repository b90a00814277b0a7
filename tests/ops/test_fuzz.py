"""Random sizes, dtypes, layouts and bad numbers: no crash, and no divergence from the reference."""

import math
import random

import pytest
import torch
from operator_cases import LAYOUTS, lay_out, leaf_gradients, make, make_gate

from foveate.ops import deform_conv2d, deform_gate
from support import TOLERANCE

DTYPES = (torch.float64, torch.float32, torch.float32, torch.bfloat16, torch.float16)
BAD = (math.nan, math.inf, -math.inf, 3e38, -3e38, 1e10, -1e10, 1e-40, -1e-40, 2.0**31, -(2.0**31))
GROUPS = ((1, 1), (1, 1), (1, 2), (2, 1), (2, 2), (4, 2), (4, 4))


def draw_convolution(rng):
    """Tensors and sizes of a convolution whose map is at most a few pixels above the smallest."""
    groups, offset_groups = rng.choice(GROUPS)
    channels = rng.randrange(1, 4) if groups == offset_groups == 1 else 4
    kernel = rng.choice([(1, 1), (2, 1), (1, 3), (2, 2), (3, 3)])
    padding = rng.randrange(2), rng.randrange(2)
    dilation = rng.randrange(1, 3), rng.randrange(1, 3)
    least = [d * (k - 1) + 1 - 2 * p for d, k, p in zip(dilation, kernel, padding, strict=True)]
    height, width = (max(1, low) + rng.randrange(4) for low in least)
    case = (rng.choice([0, 1, 1, 2, 2, 3]), channels, height, width, groups * rng.randrange(1, 4))
    case += (kernel, groups, offset_groups, (rng.randrange(1, 3), rng.randrange(1, 3)))
    return make(
        (*case, padding, dilation), rng.random() < 0.6, rng.random() < 0.6, rng.choice(DTYPES)
    )


def draw_gate(rng):
    """Tensors of a gate, and an epsilon that keeps flat maps from being blown up."""
    groups, offset_groups = rng.choice(GROUPS)
    size = (rng.randrange(3), 4 * rng.randrange(1, 3), rng.randrange(1, 6), rng.randrange(1, 6))
    without = [one for one in ("bias", "mask", "ln_weight", "ln_bias") if rng.random() < 0.4]
    kernel = rng.choice([(1, 1), (1, 3), (3, 3)])
    tensors = make_gate(size, 4, kernel, groups, offset_groups, without, rng.choice(DTYPES))
    return tensors, {"eps": 0.1}


def draw(seed, sizes_of):
    """Everything of a case from its seed: tensors, sizes, and whether to check gradients."""
    rng, noise = random.Random(seed), torch.Generator().manual_seed(seed)
    tensors, sizes = sizes_of(rng)
    tensors = {
        name: torch.randn(one.shape, generator=noise).to(one)
        for name, one in tensors.items()
        if one is not None
    }
    offset, kind = tensors["offset"], rng.random()
    offset *= rng.choice([1, 4])
    if kind < 0.3:  # on pixels and on the borders
        offset.round_()
    elif kind < 0.9:
        hit = torch.rand(offset.shape, generator=noise) < rng.choice([0.03, 0.3, 1.0])
        which = torch.randint(len(BAD), offset.shape, generator=noise)
        offset[hit] = torch.tensor(BAD, dtype=torch.float64)[which[hit]].to(offset.dtype)
    if offset.dtype in (torch.bfloat16, torch.float16) and rng.random() < 0.4:
        tensors["offset"] = offset.float()
    broken = rng.choice(["input"] * 2 + ["weight", "mask"] + ["nothing"] * 6)
    if broken in tensors and tensors[broken].numel():
        bad = [math.nan] if broken == "mask" else [math.nan, math.inf, -math.inf]
        tensors[broken].view(-1)[rng.randrange(tensors[broken].numel())] = rng.choice(bad)
    tensors = {name: lay_out(one, rng.choice(LAYOUTS)) for name, one in tensors.items()}
    return tensors, sizes, rng.random() < 0.25


def assert_alike(got, want, what, limit):
    """Fail unless bad numbers stand at the same places and all else is as near as ``limit``."""
    assert (got.shape, got.dtype) == (want.shape, want.dtype), what
    finite = want.isfinite()
    assert torch.equal(got.isfinite(), finite), f"{what}: finite elsewhere"
    if not finite.any():
        return
    got, want = got[finite].double(), want[finite].double()
    # The values drawn are of size one; a sum that cancels is no nearer than its terms.
    error = (got - want).abs().max().item() / (1 + want.square().mean().sqrt().item())
    assert error <= limit, f"{what}: off by {error:.1e}"


def check(seed, operator, sizes_of):
    tensors, sizes, differentiate = draw(seed, sizes_of)
    limit = 4 * TOLERANCE[tensors["weight"].dtype]

    def run(backend):
        return lambda **t: operator(**t, **sizes, backend=backend)

    if differentiate:
        got, got_grads = leaf_gradients(run("torch"), tensors)
        want, want_grads = leaf_gradients(run("reference"), tensors)
    else:
        got, want = (run(backend)(**tensors) for backend in ("torch", "reference"))
        got_grads = want_grads = {}
    assert_alike(got, want, "result", limit)
    assert torch.equal(got.isnan(), want.isnan()), "result: NaN elsewhere"
    for name, grad in want_grads.items():
        found = got_grads[name]
        if name == "offset":
            # Where the result is bad, a slope of zero times what made it so may be zero or NaN.
            free = (~want.isfinite().all(1, keepdim=True)) & (grad == 0) & found.isnan()
            found = found.masked_fill(free, 0)
        assert_alike(found, grad, name, limit)


def check_all(seeds, operator, sizes_of):
    for seed in seeds:
        try:
            check(seed, operator, sizes_of)
        except Exception as error:
            raise AssertionError(f"{operator.__name__}, case {seed}: {error}") from error


@pytest.mark.parametrize("first", range(0, 1500, 500))
def test_random_convolutions_do_not_part_from_the_reference(first):
    check_all(range(first, first + 500), deform_conv2d, draw_convolution)


def test_random_gates_do_not_part_from_the_reference():
    check_all(range(300), deform_gate, draw_gate)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1500, 10_000, 1700))
def test_ten_thousand_random_convolutions_in_all(first):
    check_all(range(first, first + 1700), deform_conv2d, draw_convolution)


@pytest.mark.slow
def test_two_thousand_random_gates_in_all():
    check_all(range(300, 2000), deform_gate, draw_gate)
