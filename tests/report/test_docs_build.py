"""The script that puts generated tables into the README."""

import importlib.util
import json
from pathlib import Path

import pytest
from tests_report_tools import write_run

import foveate

SCRIPT = Path(__file__).parents[2] / "docs" / "build.py"


@pytest.fixture
def build(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("docs_build", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    return module


def test_tables_replace_what_stands_between_the_markers(build):
    page = "a\n<!-- begin: attentions -->\nold\n<!-- end: attentions -->\nz\n"
    new = build.fill(page)
    assert new.startswith("a\n<!-- begin: attentions -->\n|") and new.endswith("-->\nz\n")
    assert "old" not in new
    for name in foveate.list_attentions():
        assert f"| [`{name}`](docs/attentions.md#{name}) |" in new
    assert "| 36.90 M | 5.87 G |" in new  # Four gates in a ResNet-50.
    assert build.fill(new) == new
    assert build.fill("no markers") == "no markers"
    with pytest.raises(SystemExit, match="missing"):
        build.fill("<!-- begin: attentions -->")


def test_results_are_kept_and_shown(build, study):
    assert build.results_table() == "Not run."
    path = build.add_results(str(study), "fake")
    kept = json.loads(path.read_text())
    assert kept["top1_by_seed"]["das"] == {"0": 0.80, "1": 0.83, "2": 0.84}
    table = build.results_table()
    assert "| das | 82.33 ± 5.17 | +10.33 [+8.90, +11.77] | 0.003 | 11.93 |" in table
    assert "`foveate compare scenes --model resnet18" in table and "3 seeds" in table
    assert "Significantly better than the plain network: das." in table


def test_an_unfinished_study_is_not_kept(build, study):
    (study / "runs" / "se-seed1" / "result.json").unlink()
    with pytest.raises(SystemExit, match="se"):
        build.add_results(str(study), "fake")
    write_run(study, "eca", 0, 0.5)
    assert not (build.RESULTS / "fake.json").exists()
