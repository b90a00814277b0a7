"""Check and time the Triton kernels on one GPU, in one call of a few minutes.

    python benchmarks/gpu.py --out benchmarks/results/gpu.json [--seconds 420] [--commit TEXT]
    python benchmarks/gpu.py --smoke --out /tmp/gpu.json      # toy sizes, in Triton's interpreter

Needs torch and triton alone; torchvision and deformops compete where they can be imported. First
every kernel and gradient is checked on the GPU against the float64 reference, runs are compared bit
for bit in the deterministic mode, and a compiled graph with the eager result; a red check means
that nothing is timed. Then, stage by stage of a ResNet-50, gates are timed in turn: the deformable
step with its tail, and the whole gate, forward and forward+backward, with their peak memory; then
other cuts of the same kernels. The gate packed ahead of time comes last and by itself: it takes a
minute and a compiler of C++. Results are
written after every part, so that what was measured stays when time runs out.
"""

import argparse
import sys
from pathlib import Path

from gpu_parts import SMOKE, checks, tables
from gpu_parts.session import Session, has_gpu


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--seconds", type=float, default=420, help="end after about this time")
    parser.add_argument("--commit", help="commit of the tree, where it cannot be found out")
    parser.add_argument("--smoke", action="store_true", help="toy sizes, interpreted on the CPU")
    given = parser.parse_args()
    if not SMOKE and not has_gpu():
        parser.error("a GPU is needed; --smoke shows that everything runs")
    session = Session(given.out, given.seconds, given.commit)
    if not session.part("checks", checks.kernels):
        print("A check is red: nothing is timed.")
        return 1
    done = [
        session.part("rates", tables.rates),
        session.part("contest", lambda: tables.contest(session)),
        session.part("cuts", tables.cuts),
        session.part("packing", lambda: checks.packing(given.out.parent), needs=60),
    ]
    session.result["complete"] = all(done)
    session.write()
    return 0 if all(done) else 2


if __name__ == "__main__":
    sys.exit(main())
