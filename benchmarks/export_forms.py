"""Time the gate in each form of its deformable convolution and in each runtime.

    python benchmarks/export_forms.py        # a few minutes; benchmarks/results/export_forms.json

One thread, fixed shapes, processor time, medians of calls in turn; ratios to the gate in eager
PyTorch. Offsets spread over a pixel or two.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

import foveate
from foveate.accounting.interleave import interleave
from foveate.core import environment
from foveate.core.files import write_json
from foveate.export.check import noise
from foveate.export.program import trace
from foveate.export.settings import TARGETS, Settings

FILE = Path(__file__).parent / "results" / "export_forms.json"
# The stages of ResNet-18, then the first and the third of ResNet-50, of images of 224 pixels.
MAPS = ((64, 56), (128, 28), (256, 14), (512, 7), (256, 56), (1024, 14))
FORMS = ("deformconv", "gridsample", "gather")
RUNTIMES = ("onnx", "openvino", "torch-export")
EAGER = "pytorch"


def measure(channels, side, folder):
    """Ratios to eager PyTorch by runtime and form, of one image."""
    torch.manual_seed(0)
    gate = foveate.create_attention("das", channels).eval()
    nn.init.normal_(gate.offset.weight, std=0.05)
    x = noise((1, channels, side, side))

    def eager():
        with torch.inference_mode():
            gate(x)

    calls = {EAGER: eager}
    for form in FORMS:
        program = trace(gate, x, dynamic=(), deform=form)
        for name in RUNTIMES:
            target = TARGETS[name]
            path = Path(folder) / f"{form}{target.suffix}"
            target.write(program, path, Settings())
            runner = target.open(path, Settings(), {"dtype": "float32"})
            with torch.no_grad():
                torch.testing.assert_close(runner(x)[0], gate(x), atol=1e-4, rtol=1e-4)
            calls[f"{name}|{form}"] = lambda run=runner: run(x)
    times = interleave(
        calls,
        x.device,
        repeats=15,
        minimum=5,
        seconds=8,
        warmup=2,
        clock=time.process_time,
    )
    middle = {label: statistics.median(found) for label, found in times.items()}
    ratios = {label: round(ms / middle[EAGER], 3) for label, ms in middle.items()}
    return {"ms": round(middle[EAGER], 2), "rounds": len(times[EAGER]), "ratios": ratios}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FILE)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows, commit = {}, environment.commit()
    for channels, side in MAPS:
        with tempfile.TemporaryDirectory() as folder:
            rows[f"{channels}x{side}x{side}"] = measure(channels, side, folder)
        print(channels, side, rows[f"{channels}x{side}x{side}"], flush=True)
    packages = ("torch", "torchvision", "onnxruntime", "openvino")
    conditions = {
        "processor": environment.processor(),
        "cores": environment.machine()["cores"],
        "threads": 1,
        "versions": environment.versions(packages),
        "command": "python benchmarks/export_forms.py",
        "commit": commit,
        "measured": environment.timestamp(),
    }
    write_json(given.out, {"conditions": conditions, "rows": rows})


if __name__ == "__main__":
    main()
