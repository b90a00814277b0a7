"""The script that puts generated tables into the README."""

import importlib.util
import json
from pathlib import Path

import pytest
from explained_tools import write_explained

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


def test_the_readme_shows_every_result_in_a_line(build, study):
    assert build.results_table() == "Not run."
    build.publish(study, build.RESULTS, "fake")
    build.publish(study, build.RESULTS, "ablation-fake", "An ablation")
    kept = json.loads((build.RESULTS / "fake.json").read_text())
    assert kept["top1_by_seed"]["das"] == {"0": 0.80, "1": 0.83, "2": 0.84}
    table = build.results_table()
    assert "/fake.md)**. Significantly better than the plain network: das." in table
    assert "[An ablation](docs/results/ablation-fake.md)" in table and table.count("\n") == 1


def test_pages_that_are_missing_or_changed_by_hand_are_outdated(build, study, monkeypatch):
    monkeypatch.setattr(build, "PAGES", ())
    page = build.publish(study, build.RESULTS, "fake")
    index = build.RESULTS / "README.md"
    assert list(build.outdated()) == [index]
    for path, text in build.outdated().items():
        path.write_text(text)
    assert build.outdated() == {}
    page.write_text(page.read_text().replace("82.33", "92.33"))
    index.unlink()
    assert set(build.outdated()) == {page, index}


def test_the_page_of_the_paper_is_written(build, tmp_path, monkeypatch):
    import foveate.paper

    monkeypatch.setattr(build, "PAPER", tmp_path / "paper.md")
    monkeypatch.setattr(foveate.paper, "page", lambda: "tables", raising=False)
    assert build.paper().read_text() == "tables"


def test_a_look_is_kept_and_named_in_the_readme_in_a_line(build, tmp_path, monkeypatch):
    folder = write_explained(tmp_path / "look", images=4)
    monkeypatch.setattr(build, "PAGES", ())
    monkeypatch.setattr("sys.argv", ["build.py", "--add-explain", str(folder), "where"])
    build.main()
    said = "- **[das against none](docs/results/where.md)**. By sfd at stage4 over 4 images: das 0."
    assert build.results_table().startswith(said) and build.outdated() == {}
    (build.RESULTS / "where-1.png").unlink()
    monkeypatch.setattr("sys.argv", ["build.py", "--check"])
    with pytest.raises(SystemExit, match=r"where-1\.png"):
        build.main()
