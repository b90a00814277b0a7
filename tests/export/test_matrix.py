"""The parity matrix: every attention in every network to every runtime, and its published table.

The whole takes an hour; ``make export-matrix`` runs the compiled cells that are not here too.
"""

import importlib.util
import json
from pathlib import Path

import pytest

import foveate

ROOT = Path(__file__).parents[2]
NEEDED = ("onnx", "onnxscript", "onnxruntime", "openvino", "timm", "torchvision")
COMPILED = [("resnet18", one) for one in ("das", "das_lite", "se")]


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MATRIX = load(ROOT / "benchmarks" / "export_matrix.py")
CELLS = [(net, one) for net in MATRIX.NETWORKS for one in foveate.list_attentions()]


def run(network, attention, cells, folder):
    found = {}
    MATRIX.run_cells(network, attention, cells, folder, found.__setitem__)
    assert len(found) == len(cells)
    return found


def published():
    if not MATRIX.FILE.is_file():
        return {}
    return json.loads(MATRIX.FILE.read_text(encoding="utf-8"))["cells"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("network", "attention"), CELLS)
def test_a_network_agrees_with_pytorch_in_every_runtime(network, attention, tmp_path):
    """As much stays open as the table says; what cannot be has the reason that it tells."""
    for one in NEEDED:
        pytest.importorskip(one)
    known = published()
    cells = [(runtime, "") for runtime in MATRIX.CHEAP]
    for name, told in run(network, attention, cells, tmp_path).items():
        want = known.get(name, {"status": "passed", "dynamic": ["batch", "size"]})
        assert told["status"] == want["status"], f"{name}: {told}"
        assert told.get("dynamic") == want.get("dynamic"), f"{name}: {told}"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("network", "attention"), COMPILED)
def test_a_compiled_network_agrees_with_pytorch(network, attention, tmp_path):
    told = run(network, attention, [("aoti", "")], tmp_path)[f"{network}|{attention}|aoti"]
    assert told["status"] == "passed" and told["dynamic"] == ["batch", "size"], told


def test_what_is_published_is_of_the_matrix_and_every_failure_has_a_reason():
    names = {
        MATRIX.key(network, one, runtime, variant)
        for network, one, cells in MATRIX.jobs(
            MATRIX.NETWORKS, foveate.list_attentions(), MATRIX.RUNTIMES
        )
        for runtime, variant in cells
    }
    assert len(names) == 3 * (4 * len(foveate.list_attentions()) + 2 * len(MATRIX.VARIANTS))
    cells = published()
    assert cells.keys() <= names
    for name, told in cells.items():
        if told["status"] == "passed":
            assert told["relative"] <= told["limit"] and told["ratio"] > 0, name
            assert len(told["dynamic"]) == 2 or told["why_not_more"], name
        else:
            assert told["reason"], name


def test_a_cell_that_dies_costs_only_itself(monkeypatch):
    import os

    def die(*_):
        os._exit(3)

    monkeypatch.setattr(MATRIX, "run_cells", die)
    found = {}
    MATRIX.isolated("resnet18", "se", [("onnx", ""), ("aoti", "")], found.__setitem__)
    want = {"status": "failed", "reason": "the process ended with 3"}
    assert found == {"resnet18|se|onnx": want}


def test_the_networks_of_the_matrix_have_no_dead_path():
    pytest.importorskip("timm")
    model = MATRIX.build("resnet18", "das")
    gates = list(foveate.surgery.inserted(model).values())
    moved = []
    for gate in gates:
        gate.offset.register_forward_hook(lambda _, x, offsets: moved.append(offsets.std().item()))
    model(MATRIX.noise((1, 3, 96, 96), 0))
    # A sampling point moves, but not so far that a rounding changes what it reads.
    assert len(gates) == len(moved) == 4 and all(0.05 < far < 1 for far in moved), moved
    assert all(one.any() for name, one in model.named_parameters() if name.endswith("bn2.weight"))
    assert not model.training
