"""The notebook runs from top to bottom: on toy sizes, and slowly as it is."""

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
for needed in ("timm", "captum", "matplotlib", "onnxruntime", "onnxscript"):
    pytest.importorskip(needed)

NOTEBOOK = Path(__file__).parents[2] / "examples" / "foveate.ipynb"


def read():
    return nbformat.read(NOTEBOOK, as_version=4)


def run(folder):
    """Execute it in a folder of its own; return what it printed and how many pictures it made."""
    notebook = read()
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=900, resources=resources).execute()
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", [])]
    printed = "".join(one.text for one in outputs if one.output_type == "stream")
    pictures = sum("image/png" in one.get("data", {}) for one in outputs)
    return printed, pictures


def check(printed, pictures):
    assert printed.count("the output is what it was: True") == 1, printed
    assert printed.count("the same output: True") == 1, printed
    assert "4 sites of ResNet" in printed and "openness" in printed
    assert float(printed.split("difference to PyTorch: ")[1].split()[0]) < 1e-3
    assert pictures == 2


@pytest.fixture(autouse=True)
def kernel(monkeypatch):
    """A kernel that draws into the notebook, as in Colab, and shares no folder of settings."""
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))


def test_it_is_kept_without_outputs_and_installs_what_is_missing():
    notebook = read()
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert '%pip install -q "foveate[train,explain,export]"' in code[0].source
    assert NOTEBOOK.stat().st_size < 20_000


@pytest.mark.timeout(900)
def test_it_runs_on_toy_sizes(tmp_path, monkeypatch):
    monkeypatch.setenv("FOVEATE_NOTEBOOK_FAST", "1")
    check(*run(tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_runs_as_it_is_and_the_network_learns(tmp_path):
    printed, pictures = run(tmp_path)
    check(printed, pictures)
    print(printed)
    assert float(printed.split("top-1 with gates: ")[1].split()[0]) > 60
