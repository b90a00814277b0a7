"""Correctness before any clock: float64, numbers that are none, equal bits, one graph."""

import torch

from foveate.ops.deform import gather
from foveate.ops.deform import reference as convolution
from foveate.ops.deform.arguments import geometry_of
from foveate.ops.deform.triton import deform_conv2d, plan
from foveate.ops.gate import reference
from foveate.ops.gate.triton import deform_gate
from gpu_parts import SMOKE
from gpu_parts.gates import HALF, STAGES, draw, gated, tensors_of

CHOOSE = plan.choose
OURS = gated(deform_gate)
USUAL = gated(reference.differentiable_gate)
EXACT = gated(reference.deform_gate)


def gradients(run, tensors):
    """Output and gradients by name, from a fixed upstream gradient."""
    leaves = {k: v.detach().requires_grad_() for k, v in tensors.items() if v is not None}
    out = run(**leaves)
    generator = torch.Generator().manual_seed(1)
    upstream = torch.randn(out.shape, generator=generator).to(out)
    found = torch.autograd.grad(out, list(leaves.values()), upstream)
    return {"result": out.detach(), **dict(zip(leaves, found, strict=True))}


def error(got, want):
    size = want.square().mean().sqrt()
    value = ((got.double() - want).square().mean().sqrt() / size).item()
    return value if value == value else float("inf")


def judge(name, run, baseline, exact, tensors):
    """Compare with float64; at most twice the gather form's error and one rounding."""
    want = gradients(exact, {k: v.double() for k, v in tensors.items()})
    got, usual = gradients(run, tensors), gradients(baseline, tensors)
    floor = 0.5 * max(torch.finfo(one.dtype).eps for one in tensors.values())
    worst, where = 0.0, ""
    for key, right in want.items():
        ratio = error(got[key], right) / (2 * error(usual[key], right) + floor)
        if ratio >= worst:
            worst, where = ratio, key
    row = {"check": name, "worst": round(worst, 3), "of": where}
    return row if worst <= 1 else {**row, "status": "red"}


def force(scheme):
    """Take one of the two forward schemes, or let the plan choose again."""

    def forced(dtype, channels, width):
        if scheme == "implicit":
            return CHOOSE(torch.bfloat16, min(channels, 256), width)
        return CHOOSE(torch.float32, channels, width)

    plan.choose = CHOOSE if scheme is None else forced


def kernels():
    """Every check of what is timed."""
    # All dtypes and both schemes on a small map; the stages as the plan cuts them.
    small = (20, 6, 3, 4) if SMOKE else (64, 12, 9, 7)
    dtypes = [(HALF, torch.float32)]
    if not SMOKE:
        dtypes += [(HALF, HALF), (torch.float16, torch.float32), (torch.float32, torch.float32)]
    cases = [(small, scheme, *pair) for scheme in ("implicit", "columns") for pair in dtypes]
    if not SMOKE:
        cases += [((300, 51, 14, 14), "implicit", HALF, torch.float32)]
        cases += [(stage, None, HALF, torch.float32) for stage in STAGES]
    for shape, scheme, dtype, wide in cases:
        force(scheme)
        tensors = tensors_of(shape, 1 if SMOKE else 2, dtype, wide)
        yield judge(f"gate {shape} {scheme} {dtype} {wide}", OURS, USUAL, EXACT, tensors)
    force(None)
    yield from _convolution()
    yield from _determinism()
    if not SMOKE:
        compiled = torch.compile(OURS, fullgraph=True)
        tensors = tensors_of(STAGES[0], 2)
        yield judge("compiled gate, one graph", compiled, USUAL, EXACT, tensors)


def _convolution():
    """Groups, strides, borders, and numbers that are none."""
    tensors = {"input": draw(2, 12, 9, 8), "offset": 2 * draw(2, 36, 5, 7)}
    tensors |= {"weight": draw(9, 4, 3, 2), "bias": draw(9), "mask": draw(2, 18, 5, 7).sigmoid()}

    def form(function):
        def run(input, offset, weight, bias, mask):
            geometry = geometry_of(input, offset, weight, bias, (2, 1), (1, 0), (1, 1), mask)
            return function(input, offset, weight, bias, mask, geometry)

        return run

    run = form(deform_conv2d)
    others = [form(one.deform_conv2d) for one in (gather, convolution)]
    yield judge("groups, stride, padding", run, *others, tensors)
    tensors["offset"] = tensors["offset"].round()
    yield judge("offsets on integers", run, *others, tensors)
    clean = run(**tensors)
    for (image, channel, column), bad in {
        (0, 3, 3): float("nan"),
        (1, 3, 3): float("inf"),
        (1, 5, 4): 3e38,
    }.items():
        tensors["offset"][image, channel, 2, column] = bad
    out = run(**tensors)
    rest = torch.ones_like(out, dtype=torch.bool)
    rest[0, :, 2, 3], rest[1, :, 2, 3:5] = False, False
    spoilt = out.isnan().any(1)
    right = bool(spoilt[0, 2, 3]) and int(spoilt.sum()) == 1 and torch.equal(out[rest], clean[rest])
    yield verdict("a NaN spoils one pixel", right)


def _determinism():
    """Three runs to the bit, and the gradients of that mode."""
    tensors = tensors_of(STAGES[0], 1 if SMOKE else 2)
    torch.use_deterministic_algorithms(True)
    try:
        first = gradients(OURS, tensors)
        for _ in range(1 if SMOKE else 3):
            again = gradients(OURS, tensors)
            equal = all(torch.equal(first[key], again[key]) for key in first)
            yield verdict("bit-equal runs", equal)
        if not SMOKE:
            yield judge("deterministic gradients", OURS, USUAL, EXACT, tensors)
    finally:
        torch.use_deterministic_algorithms(False)


def verdict(name, right):
    return {"check": name} if right else {"check": name, "status": "red"}


class Gate(torch.nn.Module):
    def forward(self, x, squeezed, offset, weight, mask, ln_weight, ln_bias):
        return OURS(x, squeezed, offset, weight, mask, ln_weight, ln_bias)


def packing(folder):
    """Export the gate and run it packed ahead of time."""
    tensors = tensors_of(STAGES[0], 2)
    with torch.no_grad():
        want = Gate()(**tensors)
        exported = torch.export.export(Gate(), (), kwargs=tensors)
        yield verdict("exported", torch.equal(exported.module()(**tensors), want))
        if SMOKE:
            return
        path = str(folder / "gate.pt2")
        package = torch._inductor.aoti_compile_and_package(exported, package_path=path)
        got = torch._inductor.aoti_load_package(package)(**tensors)
        yield verdict("packed ahead of time", error(got, want.double()) < 1e-2)
