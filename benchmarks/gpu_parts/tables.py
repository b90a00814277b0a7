"""What is timed: rates of the machine, the contest, and other cuts of the kernels."""

import statistics

import torch

from foveate.ops.deform.triton import plan
from foveate.ops.gate.triton import deform_gate
from gpu_parts import SMOKE
from gpu_parts.clock import calls_of, interleave, peak, summary, wait
from gpu_parts.gates import (
    BATCH,
    DEVICE,
    HALF,
    STAGES,
    contestants,
    draw,
    gated,
    parameters_of,
    tensors_of,
    whole,
)

CHOOSE = plan.choose


def rates():
    """Bandwidth of a copy and rates of the products at the gate's own shapes."""
    numbers = 1 << (12 if SMOKE else 30)
    source = torch.empty(numbers, device=DEVICE, dtype=HALF)
    target = torch.empty_like(source)
    times = interleave({"copy": lambda: target.copy_(source)}, 10, 3)["copy"]
    moved = 2 * numbers * source.element_size()
    yield {"rate": "copy", "gb_per_s": round(moved / statistics.median(times) / 1e6, 1)}
    for channels, squeezed, height, width in STAGES:
        pixels, inner = BATCH * height * width, 9 * (-(-squeezed // 8) * 8)
        left, right = draw(pixels, inner, dtype=HALF), draw(inner, channels, dtype=HALF)

        def product(left=left, right=right):
            return left @ right

        times = interleave({"product": product}, 10, 3)["product"]
        operations = 2 * pixels * inner * channels
        rate = operations / statistics.median(times) / 1e9
        yield {"rate": f"product {pixels}x{inner}x{channels}", "tflops": rate}


def roof(stage, session):
    """Least milliseconds of the fused forward: products, or bytes read and written once."""
    channels, squeezed, height, width = stage
    pixels = BATCH * height * width
    found = session.result["rates"]
    rate = max(row["tflops"] for row in found if "tflops" in row)
    bandwidth = found[0]["gb_per_s"]
    operations = 18 * pixels * squeezed * channels
    numbers = pixels * (2 * channels + squeezed) + 9 * squeezed * channels
    moved = numbers * 2 + 27 * 4 * pixels
    return max(operations / rate / 1e9, moved / bandwidth / 1e6)


def contest(session):
    """Every gate on every stage: the deformable step with its tail, then the whole gate."""
    found, reasons = contestants()
    for name, reason in reasons.items():
        yield {"variant": name, "not_run": reason}
    for stage in STAGES:
        least = roof(stage, session)
        yield from _compete(stage, "tail", found, tensors_of(stage), least)
        entire = {name: whole(run) for name, run in found.items()}
        yield from _compete(stage, "gate", entire, parameters_of(stage), None)


def _compete(stage, what, found, tensors, least):
    ready = {}
    for name, run in found.items():
        try:
            calls = calls_of(run, tensors)
            for call in calls.values():
                call()
            wait()
            ready[name] = calls
        except Exception as failure:
            reason = f"{type(failure).__name__}: {str(failure)[:200]}"
            yield {"stage": stage, "of": what, "variant": name, "not_run": reason}
    for mode in ("forward", "forward+backward"):
        rounds, inner = (2, 1) if SMOKE else (12, 4)
        times = interleave({name: calls[mode] for name, calls in ready.items()}, rounds, inner)
        rivals = [summary(times[name])["median_ms"] for name in times if "vision" in name]
        for name, values in times.items():
            row = {"stage": stage, "of": what, "variant": name, "mode": mode, **summary(values)}
            if mode == "forward" and least:
                row["over_roof"] = round(row["median_ms"] / least, 2)
            if rivals:
                row["over_torchvision"] = round(min(rivals) / row["median_ms"], 2)
            yield {**row, "peak_bytes": peak(ready[name][mode])}


def cuts():
    """Other cuts of the same kernels: schemes, blocks, and the steps of the backward pass."""
    run = gated(deform_gate)
    usual = plan.TILE_BYTES
    for stage in STAGES:
        tensors = tensors_of(stage)
        channels, width = stage[0], -(-stage[1] // 8) * 8
        block_n = plan.power_of_two(channels, 16, 256)
        plans = {"columns": CHOOSE(torch.float32, channels, width)}
        sizes = [(128, 32, 8, 3)] if SMOKE else [(128, 32, 8, 3), (128, 32, 8, 2), (128, 64, 8, 2)]
        sizes += [] if SMOKE else [(64, 32, 4, 3), (64, 32, 8, 3), (64, 64, 8, 2), (128, 16, 8, 4)]
        for block_m, block_k, warps, stages in sizes if channels <= 512 else sizes[:1]:
            cut = plan.Plan("implicit", block_m, block_n, block_k, warps, stages)
            plans[f"implicit {block_m}x{block_n}x{block_k}, {warps} warps, {stages} stages"] = cut
        calls = {}
        for name, cut in plans.items():

            def call(cut=cut, tensors=tensors):
                plan.choose = lambda *_: cut
                with torch.no_grad():
                    run(**tensors)

            try:
                call()
                wait()
                calls[name] = call
            except Exception as failure:
                yield {"stage": stage, "cut": name, "not_run": str(failure)[:200]}
        times = interleave(calls, 1 if SMOKE else 8, 1 if SMOKE else 4)
        plan.choose = CHOOSE
        for name, values in times.items():
            yield {"stage": stage, "cut": name, **summary(values)}
        backward = calls_of(run, tensors)["forward+backward"]
        steps = {}
        for size in (4, 16, 64, 1024):

            def step(size=size, backward=backward):
                plan.TILE_BYTES = size << 20
                backward()

            steps[f"steps of {size} MiB"] = step

        def fixed(backward=backward):
            plan.TILE_BYTES = usual
            torch.use_deterministic_algorithms(True)
            backward()
            torch.use_deterministic_algorithms(False)

        steps["deterministic"] = fixed
        times = interleave(steps, 1 if SMOKE else 6, 1 if SMOKE else 2)
        plan.TILE_BYTES = usual
        for name, values in times.items():
            yield {"stage": stage, "cut": name, "mode": "forward+backward", **summary(values)}
