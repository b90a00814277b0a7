"""Time on the device: variants in turn, medians, spread; and memory."""

import itertools
import statistics
import time

import torch

from gpu_parts import SMOKE


def interleave(calls, rounds, inner):
    """Milliseconds by name: rounds of ``inner`` calls each, in an order that rotates."""
    found = {name: [] for name in calls}
    for name in list(calls):
        for _ in range(1 if SMOKE else 3):
            calls[name]()
    names = list(calls)
    for at in range(rounds):
        marks = []
        for name in names[at % len(names) :] + names[: at % len(names)]:
            marks.append((name, mark()))
            for _ in range(inner):
                calls[name]()
        marks.append(("", mark()))
        wait()
        for (name, start), (_, end) in itertools.pairwise(marks):
            found[name].append(between(start, end) / inner)
    return found


def mark():
    if SMOKE:
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def between(start, end):
    return 1000 * (end - start) if SMOKE else start.elapsed_time(end)


def wait():
    if not SMOKE:
        torch.cuda.synchronize()


def summary(times):
    quarters = statistics.quantiles(times, n=4) if len(times) > 1 else [times[0]] * 3
    return {
        "median_ms": round(statistics.median(times), 4),
        "iqr_ms": round(quarters[2] - quarters[0], 4),
        "rounds": len(times),
    }


def calls_of(run, tensors):
    """A forward pass without gradients, and one with the gradients of everything."""
    with torch.no_grad():
        upstream = torch.randn_like(run(**tensors))
    leaves = {name: value.detach().requires_grad_() for name, value in tensors.items()}

    def forward():
        with torch.no_grad():
            run(**tensors)

    def both():
        torch.autograd.grad(run(**leaves), list(leaves.values()), upstream, allow_unused=True)

    return {"forward": forward, "forward+backward": both}


def peak(call):
    """Bytes allocated beyond what is there before the call."""
    if SMOKE:
        return None
    call()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
