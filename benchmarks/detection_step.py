"""Time one training step of Faster R-CNN and state the memory it takes, without and with gates.

    python benchmarks/detection_step.py --out benchmarks/results/detection_step.json
    python benchmarks/detection_step.py --backbone resnet18 --preset small --side 64 --batch 16 \\
        --out benchmarks/results/detection_step_small.json

A step is forward, losses and backward, on one thread. Each detector has a process of its own, so
that the peak memory is its own; it holds the weights, the gradients and one batch of noise with one
object in each image. After one step that is not counted, the median and the range of the others
are stated.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import time
from pathlib import Path

import torch

from foveate.core.environment import command, commit, machine, timestamp, versions
from foveate.core.files import write_json
from foveate.detection import create_detector


def measure(attention: str | None, given: argparse.Namespace) -> dict:
    """Return the times in seconds and the peak resident memory in GiB of one detector."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    detector = create_detector(
        "faster-rcnn",
        given.backbone,
        attention,
        classes=given.classes,
        preset=given.preset,
        size=(given.side, given.side),
        batch_norm="frozen" if given.preset == "coco" else "train",
    )
    images = list(torch.rand(given.batch, 3, given.side, given.side))
    box = torch.tensor([[0.3, 0.3, 0.6, 0.6]]) * given.side
    targets = [{"boxes": box, "labels": torch.tensor([0])} for _ in images]
    times = []
    for _ in range(1 + given.steps):
        start = time.perf_counter()
        detector.zero_grad(set_to_none=True)
        torch.stack(list(detector(images, targets).values())).sum().backward()
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "attention": attention or "none",
        "parameters": sum(one.numel() for one in detector.parameters()),
        "step_seconds": statistics.median(times[1:]),
        "step_seconds_range": [min(times[1:]), max(times[1:])],
        "milliseconds_an_image": 1000 * statistics.median(times[1:]) / given.batch,
        "peak_gib": peak / 2**20,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--preset", default="coco", choices=("coco", "small"))
    parser.add_argument("--side", type=int, default=320, help="of the images, in pixels")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--attentions", nargs="+", default=["none", "das"])
    given = parser.parse_args()
    spawned = multiprocessing.get_context("spawn")
    rows = []
    for name in given.attentions:
        # A fresh process each: peak memory never falls again.
        with spawned.Pool(1) as pool:
            rows.append(pool.apply(measure, (None if name == "none" else name, given)))
        print(json.dumps(rows[-1]))
    settings = {key: value for key, value in vars(given).items() if key != "out"}
    about = {
        "when": timestamp(),
        "commit": commit(),
        "command": command(),
        "machine": machine(),
        "versions": versions(),
        "threads": 1,
    }
    write_json(given.out, {**about, "settings": settings, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
