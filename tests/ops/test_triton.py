"""Starts the tests of Triton's kernels in its interpreter, and looks at what an import brings."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from triton_support import DEVICE, INTERPRETED, interpreter_environment

HERE = Path(__file__).parent


@pytest.mark.skipif(DEVICE == "cuda" or INTERPRETED, reason="the kernels run for themselves")
def test_the_kernels_pass_in_the_interpreter():
    # A process of its own: what Triton decorates is interpreted or compiled from its import on.
    files = [str(HERE / f"test_triton_{name}.py") for name in ("deform", "gate")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, env=interpreter_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout


def test_importing_the_backends_imports_no_triton():
    code = (
        "import sys; import foveate.ops.deform.triton, foveate.ops.gate.triton, torch\n"
        "assert 'triton' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_triton_there_is_a_reason():
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch; from foveate.ops.gate.triton import why_not\n"
        "assert why_not(torch.zeros(1, 1, 1, 1))[0] == 'triton is not installed'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(INTERPRETED, reason="starts an interpreter of its own")
@pytest.mark.slow
def test_the_benchmark_for_a_gpu_runs_from_its_checks_to_its_end(tmp_path):
    script, out = HERE.parents[1] / "benchmarks/gpu.py", tmp_path / "gpu.json"
    command = [sys.executable, str(script), "--smoke", "--out", str(out)]
    done = subprocess.run(command, env=interpreter_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    result = json.loads(out.read_text())
    assert result["complete"]
    assert all("status" not in row for row in result["checks"]) and len(result["checks"]) >= 6
    timed = {(row["of"], row["mode"]) for row in result["contest"] if row["variant"] == "foveate"}
    modes = ("forward", "forward+backward")
    assert timed == {(what, mode) for what in ("tail", "gate") for mode in modes}
    assert {"date", "command", "machine", "versions", "commit"} <= set(result["conditions"])
