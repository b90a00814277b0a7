"""Correctness first: outputs and every gradient against a reference, before any clock runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from foveate.bench.cases import Case
from foveate.bench.contest import Contest, Contestant, fixed_input, seeded, short

# Largest RMS error over the RMS of what is wanted: of the output, and of each gradient. Where a
# sampling point crosses a pixel between two roundings its gradient jumps, so gradients in float32
# keep a distance; a lost corner or tap is an error of a tenth and more. In bfloat16 forward alone.
LIMITS = {
    torch.float64: (1e-9, 1e-9),
    torch.float32: (1e-5, 3e-3),
    torch.bfloat16: (3e-2, None),
    torch.float16: (5e-3, None),
}


def differentiates(dtype: torch.dtype) -> bool:
    """Whether gradients are checked and timed in a dtype."""
    return LIMITS[dtype][1] is not None


def evaluate(module: nn.Module, x: Tensor, backward: bool) -> dict[str, Tensor]:
    """The output and, with ``backward``, the gradient of the input and of every parameter.

    Parameters without a gradient are left out; the upstream gradient is the same each time.
    """
    if not backward:
        with torch.no_grad():
            return {"output": module(x).detach()}
    leaf = x.detach().requires_grad_()
    out = module(leaf)
    generator = torch.Generator().manual_seed(1)
    upstream = torch.randn(out.shape, generator=generator).to(out)
    out.backward(upstream)
    found = {"output": out.detach()}
    for name, value in (("input", leaf), *module.named_parameters()):
        if value.grad is not None:
            found[_plain(name)] = value.grad
    module.zero_grad(set_to_none=True)
    return found


def _plain(name: str) -> str:
    """A parameter's name without what wrappers put before it."""
    return name.removeprefix("_orig_mod.").removeprefix("gate.")


def complaint(got: Mapping[str, Tensor], want: Mapping[str, Tensor], dtype: torch.dtype) -> str:
    """What differs more than ``dtype`` allows, in one line; "" if nothing does."""
    if set(got) != set(want):
        missing = sorted(set(want) - set(got))
        surplus = sorted(set(got) - set(want))
        return f"gradients missing: {', '.join(missing)}" if missing else f"surplus: {surplus}"
    of_output, of_gradients = LIMITS[dtype]
    # A gradient that is zero but for rounding, such as that of a bias before a norm, is compared
    # on the scale of the others.
    floor = 1e-4 * max((_rms(one) for name, one in want.items() if name != "output"), default=0.0)
    lines = []
    for name, wanted in want.items():
        limit = of_output if name == "output" else of_gradients
        if limit is None:
            continue
        found, right = got[name].double(), wanted.double().to(got[name].device)
        if found.shape != right.shape:
            return f"{name}: shape {tuple(found.shape)}, not {tuple(right.shape)}"
        size = max(_rms(right), 0.0 if name == "output" else floor)
        error = _rms(found - right) / max(size, 1e-30)
        if not error <= limit:  # a NaN is not below anything
            what = "output" if name == "output" else f"gradient of {name}"
            lines.append(f"{what} off by {error:.1e}, limit {limit:.0e}")
    more = [f"{len(lines) - 2} more"] if len(lines) > 2 else []
    return "; ".join(lines[:2] + more)


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())


class Verdicts:
    """Remembers what the checks said, so that a repeated table is not checked again."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], str] = {}

    def of(self, contest: Contest, device: str) -> dict[str, str]:
        """Why each contestant gets no number; "" if it may run."""
        references: dict[tuple[object, ...], dict[str, Tensor]] = {}
        found = {}
        for one in contest.contestants:
            key = (contest.suite, contest.label, contest.case, contest.dtype, one.name)
            if one.reasons:
                found[one.name] = f"not run: {'; '.join(one.reasons)}"
                continue
            if key not in self._known:
                try:
                    with _full_precision():
                        wrong = _check(one, contest.checks, device, references)
                except Exception as error:
                    wrong = reason(error)
                self._known[key] = f"failed: {wrong}" if wrong else ""
            found[one.name] = self._known[key]
        return found


def _check(
    one: Contestant,
    checks: Sequence[tuple[Case, torch.dtype | None, torch.dtype]],
    device: str,
    references: dict[tuple[object, ...], dict[str, Tensor]],
) -> str:
    """Return the first complaint, "" for none; references are shared by contestants."""
    for case, own, wide in checks:
        dtype = own or one.dtype
        # Between two roundings in float32 a sampling point may cross a pixel, where its gradient
        # jumps; gradients of a map that was compared in float64 are left at that.
        settled = dtype != torch.float64 and (case, torch.float64, torch.float64) in checks
        backward = differentiates(dtype) and not settled
        key = (one.oracle, case, dtype, wide)
        if key not in references:
            oracle = seeded(one.oracle, case).eval().to(device, dtype).to(wide)
            x = fixed_input(one.entry(case)).to(device, dtype).to(wide)
            references[key] = evaluate(oracle, x, backward)
        got = evaluate(*one.ready(case, dtype, device), backward)
        wrong = complaint(got, references[key], dtype)
        if wrong:
            return f"{wrong} (at {case.name}, {short(dtype)})"
    return ""


@contextmanager
def _full_precision() -> Iterator[None]:
    """Switch a GPU's shortened float32 products off; they would hide and fake differences."""
    backends: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = False
        yield
    finally:
        for backend, old in zip(backends, before, strict=True):
            backend.allow_tf32 = old


def reason(error: BaseException) -> str:
    """An error as one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
