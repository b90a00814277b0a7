"""From result files to the README and its picture."""

import importlib.util
from pathlib import Path

import pytest
from bench_tools import full_rows, result, scaling_rows

SCRIPT = Path(__file__).parents[2] / "docs" / "build.py"


@pytest.fixture
def build(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("docs_build_bench", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "MEASURED", tmp_path)
    monkeypatch.setattr(module, "PLOT", tmp_path / "scaling.png")
    return module


def test_tables_come_from_published_files_and_never_from_toys(build, tmp_path):
    page = "<!-- begin: performance -->\n<!-- end: performance -->"
    assert "Not run." in build.fill(page)
    (tmp_path / "other.json").write_text('{"passed": {}}')
    result(full_rows(9.0), quick=True).save(tmp_path / "toys.json")
    assert "Not run." in build.fill(page)
    result(full_rows(3.0), ("gate", "memory")).save(tmp_path / "real.json")
    assert "| **geometric mean** | **3.00x** |" in build.fill(page)


def test_the_picture_needs_a_result_of_the_scaling_suite(build, tmp_path):
    with pytest.raises(SystemExit, match="no result of the scaling suite; run: make bench"):
        build.plot()
    result(scaling_rows(), ("scaling",)).save(tmp_path / "real.json")
    assert build.plot().read_bytes().startswith(b"\x89PNG")
    assert "**2.00**" in build.fill("<!-- begin: scaling -->\n<!-- end: scaling -->")
