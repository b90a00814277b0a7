"""Export every attention in three networks to four runtimes, and compare each file with PyTorch.

    python benchmarks/export_matrix.py                    # goes on where it stopped
    python benchmarks/export_matrix.py --only das,se --networks resnet18 --runtimes onnx

Each network with an attention is a process of its own; what it came to is kept at once, so Ctrl-C
loses one cell. The networks are not trained: weights are seeded, statistics of batch norms warmed,
and whatever begins at zero (offsets, the last scale of a branch) is moved: every path counts.
"""

import argparse
import copy
import functools
import gc
import json
import multiprocessing
import sys
import tempfile
import time
import traceback
from pathlib import Path

import sympy
import torch
from torch import nn

import foveate
from foveate.core import environment
from foveate.core.files import write_json
from foveate.export.check import noise
from foveate.export.export import export_program
from foveate.export.program import trace
from foveate.export.record import Subject
from foveate.export.settings import TARGETS, Settings
from foveate.export.timing import time_beside
from foveate.surgery import inserted

FILE = Path(__file__).parent / "results" / "export_matrix.json"
NETWORKS = ("resnet18", "resnet50", "torchvision/mobilenet_v2")
RUNTIMES = ("onnx", "openvino", "torch-export", "aoti")
CHEAP = RUNTIMES[:3]
DAS = ("das", "das_lite")
FIRST = (*DAS, "se", "cbam", "eca", "gc", "triplet")
# Beside the default: the other forms, and half precision.
VARIANTS = (
    ("onnx", "gridsample"),
    ("onnx", "gather"),
    ("openvino", "deformconv"),
    ("openvino", "gather"),
    ("torch-export", "gridsample"),
    ("onnx", "half"),
    ("openvino", "half"),
    ("torch-export", "half"),
)
SIDE, TIMED, CLASSES = 96, 224, 10
DYNAMIC = (("batch", "size"), ("batch",), ())
LESS = "not tried: the compiler needs minutes for each open size"
LIMIT_SECONDS = 1500
# What this machine lacks is no fault of an export.
NO_HALF = "a processor with bfloat16"


def key(network, attention, runtime, variant=""):
    """The name of a cell."""
    return "|".join((network, attention, runtime, variant)).rstrip("|")


def jobs(networks, attentions, runtimes):
    """Networks with an attention and the cells of each, the ones that matter most first."""
    cheap = [one for one in CHEAP if one in runtimes]
    first = [one for one in FIRST if one in attentions]
    rest = [one for one in attentions if one not in FIRST]
    compiled = ["aoti"] if "aoti" in runtimes else []
    more = [(one, how) for one, how in VARIANTS if one in runtimes]
    order = []
    for network in networks:
        plain = [(one, "") for one in cheap]
        order += [(network, one, plain + (more if one in DAS else [])) for one in first]
        if network == networks[0]:
            order += [(network, one, [(to, "") for to in compiled]) for one in first if one in DAS]
    for network in networks:
        order += [(network, one, [(to, "") for to in cheap]) for one in rest]
    for network in networks:
        order += [(network, one, [(to, "") for to in compiled]) for one in (*first, *rest)]
    return [(network, one, cells) for network, one, cells in order if cells]


def build(network, attention):
    """A network whose every path counts, in evaluation mode."""
    torch.manual_seed(0)
    model = foveate.create_model(network, attention, num_classes=CLASSES)
    added = [model.get_submodule(path) for path in inserted(model)]
    fresh = {id(weight) for module in added for weight in module.parameters()}
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if id(weight) in fresh:
                weight.add_(spread(name, weight) * torch.randn_like(weight))
            elif not weight.any() and name.endswith("weight"):
                weight.fill_(0.5)  # The last norm of a branch.
        warm_(model)
    return model.eval()


def spread(name, weight):
    """How far a weight is moved: an offset of some quarter of a pixel, whatever the fan-in.

    Offsets of several pixels in every block make a network that nobody can compute: a rounding
    moves a sampling point, and that the next ones.
    """
    if "offset" not in name:
        return 0.1
    return min(0.05, 0.25 / weight[0].numel() ** 0.5)


def warm_(model, rounds=2):
    """Give batch norms the statistics of some images."""
    norms = [one for one in model.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    momenta = [one.momentum for one in norms]
    for one in norms:
        one.reset_running_stats()
        one.momentum = None  # A plain mean.
    model.train()
    for seed in range(rounds):
        model(noise((4, 3, SIDE, SIDE), seed + 1))
    for one, momentum in zip(norms, momenta, strict=True):
        one.momentum = momentum


def run_cells(network, attention, cells, folder, keep=lambda name, cell: None, opened=DYNAMIC[0]):
    """Export one network to the runtimes of its cells; each is told as soon as it is known."""
    try:
        model = build(network, attention)
    except (ValueError, RuntimeError) as error:
        for runtime, variant in cells:
            told = {"status": "cannot", "reason": f"cannot be inserted: {first(error)}"}
            keep(key(network, attention, runtime, variant), told)
        return
    programs = {}
    for runtime, variant in cells:
        begun = time.time()
        try:
            told = run_cell(model, runtime, variant, programs, folder, opened)
        except Exception as error:
            told = {"status": "failed", "reason": first(error)}
            if not isinstance(error, (ValueError, TypeError)):
                traceback.print_exc()
        told["seconds"] = round(time.time() - begun, 1)
        told["commit"] = environment.commit()
        keep(key(network, attention, runtime, variant), told)


def run_cell(model, runtime, variant, programs, folder, opened):
    """Export with as much of ``opened`` left open as can be, and say why not if that is not all."""
    target, half = TARGETS[runtime], variant == "half"
    form = variant if variant in target.forms else target.deform
    why = {}
    for dynamic in DYNAMIC:
        if len(dynamic) > len(opened):
            why[" and ".join(dynamic)] = LESS
            continue
        try:
            program = traced(model, target, form, half, dynamic, programs)
            done = export_program(
                model,
                program,
                Path(folder) / f"net{target.suffix}",
                target,
                settings=Settings(half=half, threads=1),
                subject=Subject(),
                images=noise((6, 3, SIDE, SIDE), 9),
                images_are="seeded noise",
                check=True,
                measure=False,
            )
        except (ValueError, NotImplementedError) as error:
            why[" and ".join(dynamic) or "nothing"] = first(error)
            continue
        runner = target.open(done.file, Settings(half=half, threads=1), done.record)
        side = TIMED if "size" in dynamic else SIDE
        speed = time_beside(
            model, runner, noise((1, 3, side, side)), threads=1, repeats=9, seconds=1.5
        )
        for one in done.files:
            one.unlink()
        return {
            "status": "passed",
            "dynamic": list(dynamic),
            "why_not_more": why,
            "deform": program.deform,
            "precision": done.record["precision"],
            "absolute": done.check.absolute,
            "relative": done.check.relative,
            "limit": done.check.limit,
            "same_class": done.check.agree,
            "shapes": [list(one.shape) for one in done.check.cases],
            "ratio": round(speed.exported.ratio, 3),
            "low": round(speed.exported.low, 3),
            "high": round(speed.exported.high, 3),
            "pytorch_ms": round(speed.eager.ms, 2),
            "timed": [1, 3, side, side],
            "clock": "processor",
        }
    reason = next(text for text in why.values() if text != LESS)
    status = "cannot" if NO_HALF in reason else "failed"
    return {"status": status, "reason": reason, "why_not_more": why}


def own_error(network, attention):
    """How far PyTorch's own float32 is from its float64: no file can be held to less."""
    model, images = build(network, attention), noise((1, 3, SIDE, SIDE), 9)
    with torch.no_grad():
        exact = copy.deepcopy(model).double()(images.double())
        return float((model(images) - exact).abs().max() / exact.abs().max())


def add_own_errors(tree):
    """Say of each network that fails in float32 how well it can be computed at all."""
    known = tree.setdefault("own_error", {})
    for name, told in tree["cells"].items():
        network, attention, *variant = name.split("|")
        pair = f"{network}|{attention}"
        if told["status"] == "failed" and len(variant) == 1 and pair not in known:
            known[pair] = own_error(network, attention)


def traced(model, target, form, half, dynamic, programs):
    """Trace a network, once for all runtimes that take the same graph."""
    low = target.half if half and target.half is not None else torch.float32
    plain = programs.get((None, low, dynamic))  # Without deformable convolutions all forms are one.
    if plain is not None:
        return plain
    name = (form, low, dynamic)
    if name not in programs:
        net = model if low == torch.float32 else copy.deepcopy(model).to(low)
        example = noise((2 if dynamic else 1, 3, SIDE, SIDE)).to(low)
        found = trace(net, example, dynamic=dynamic, deform=form)
        # Attentions that gather for reasons of their own look like that form: no harm, only slower.
        programs[name if found.deform else (None, low, dynamic)] = found
        return found
    return programs[name]


def first(error):
    """The first line of an error."""
    lines = str(error).strip().splitlines()
    return lines[0][:400] if lines else type(error).__name__


def child(pipe, network, attention, cells, opened):
    """Run the cells of a network in a process of its own, and tell each."""
    gc.freeze()
    gc.disable()  # The tracer makes much garbage and the process is short.
    # AOTInductor asks for the same simplifications in every block: a quarter of a cell's time.
    sympy.simplify = functools.lru_cache(None)(sympy.simplify)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        run_cells(network, attention, cells, folder, lambda *told: pipe.send(told), opened)
    pipe.send(None)


def isolated(network, attention, cells, keep, opened=DYNAMIC[0]):
    """Run cells in a process, so that a crash or a hang loses only what it was at."""
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs, network, attention, cells, opened))
    process.start()
    theirs.close()
    left = [key(network, attention, *cell) for cell in cells]
    try:
        while left:
            if not ours.poll(LIMIT_SECONDS):
                keep(left[0], {"status": "failed", "reason": f"not done in {LIMIT_SECONDS} s"})
                break
            told = ours.recv()
            if told is None:
                break
            left.remove(told[0])
            keep(*told)
    except EOFError:
        process.join()
        keep(left[0], {"status": "failed", "reason": f"the process ended with {process.exitcode}"})
    finally:
        process.kill()
        process.join()


def conditions():
    """What the numbers depend on."""
    packages = ("torch", "torchvision", "timm", "onnx", "onnxscript", "onnxruntime", "openvino")
    return {
        **{name: environment.machine()[name] for name in ("system", "processor", "cores")},
        "versions": environment.versions(packages),
        "command": "python benchmarks/export_matrix.py",
        "threads": 1,
        "classes": CLASSES,
        "checked_at": SIDE,
        "timed_at": TIMED,
        "measured": environment.timestamp(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--only", help="attentions, with commas; all by default")
    parser.add_argument("--runtimes", default=",".join(RUNTIMES))
    parser.add_argument("--open", default="batch,size", help="what is left open at most")
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--add", type=Path, help="take up the cells of another such file, run none")
    parser.add_argument("--again", action="store_true", help="run what failed again")
    parser.add_argument("--minutes", type=float, default=1e9, help="start nothing after so long")
    given = parser.parse_args()
    attentions = given.only.split(",") if given.only else foveate.list_attentions()
    tree = json.loads(given.out.read_text()) if given.out.is_file() else {"cells": {}}
    begun = time.time()
    if given.add:
        other = json.loads(given.add.read_text())
        write_json(given.out, {**other, "cells": {**tree["cells"], **other["cells"]}})
        return
    tree["conditions"] = {**tree.get("conditions", {}), **conditions()}
    for network, attention, cells in jobs(
        given.networks.split(","), attentions, given.runtimes.split(",")
    ):
        known = tree["cells"]
        wanted = [
            cell
            for cell in cells
            if (found := known.get(key(network, attention, *cell))) is None
            or (given.again and found["status"] == "failed")
        ]
        if not wanted:
            continue
        if time.time() - begun > 60 * given.minutes:
            break

        def keep(name, told):
            tree["cells"][name] = told
            write_json(given.out, tree)
            said = told.get("reason") or f"{told['relative']:.1e}, {told['ratio']}x"
            print(f"{name}: {told['status']}, {said} ({told.get('seconds')} s)", flush=True)

        isolated(network, attention, wanted, keep, tuple(given.open.split(",")))
    add_own_errors(tree)
    write_json(given.out, tree)


if __name__ == "__main__":
    # Before the processes part: each starts with all that it needs.
    import onnxruntime  # noqa: F401
    import onnxscript  # noqa: F401
    import openvino  # noqa: F401
    import timm  # noqa: F401
    import torchvision  # noqa: F401

    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
