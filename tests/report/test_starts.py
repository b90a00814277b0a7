"""Accuracy from the moment of insertion on, read from a study that fine-tunes."""

import json

import pytest
from rich.console import Console
from tests_report_tools import cost, write_study

from foveate.report import read_study, write_report
from foveate.report.kept import keep, metrics_csv
from foveate.report.pages import markdown_page
from foveate.report.pictures import figure_of, shape_of
from foveate.report.starts import starts_of, terminal_starts

BASE = [0.90, 0.92, 0.91]
START = {"none": BASE, "paper": [0.12, 0.14, 0.125], "identity": BASE}


@pytest.fixture
def tuned(tmp_path):
    """Three starts on base networks of 90, 92 and 91 %; 8 epochs of fine-tuning."""
    study = write_study(
        tmp_path / "s",
        {"none": [0.91, 0.93, 0.92], "paper": [0.80, 0.85, 0.81], "identity": [0.95, 0.97, 0.96]},
    )
    write_study(study / "base", {"none": BASE})
    for label, before in START.items():
        for seed, value in enumerate(before):
            path = study / "runs" / f"{label}-seed{seed}" / "result.json"
            result = json.loads(path.read_text())
            result["start"] = {"top1": value, "top5": 1.0, "loss": 0.5}
            path.write_text(json.dumps(result))
    costs = {label: cost(1, 1, 1.0, 1.0) for label in START}
    (study / "costs.json").write_text(json.dumps(costs))
    return study


def test_a_study_that_was_not_measured_before_its_first_step_has_no_starts(study):
    record = read_study(study)
    assert starts_of(record) is None and terminal_starts(record) == []


def test_accuracies_and_differences_to_the_base_are_told_by_epoch(tuned):
    found = starts_of(read_study(tuned))
    assert found["epochs"] == [0, 1, 2, 5, 8]
    assert found["columns"][:2] == ["start", "right after insertion"]
    assert found["rows"][0][:2] == ["base", "91.00 ± 2.48"]
    rows = {row[0]: row[1:] for row in found["rows"][1:]}
    assert rows["paper"][0] == "12.83 ± 2.59" and rows["identity"][0] == "91.00 ± 2.48"
    gaps = {row[0]: row[1:] for row in found["gaps"]}
    # By hand: -0.78, -0.78 and -0.785 have the mean -0.7817 and the deviation 0.0029; t = -469.
    plain = gaps["paper"][0].replace("\N{MINUS SIGN}", "-")
    assert plain.startswith("-78.17 [-78.88, -77.45], p <0.001")
    assert gaps["none"][0] == gaps["identity"][0] == "+0.00 [+0.00, +0.00], p 1.000"
    # Every seed gains the same 5 points: no spread, so no test.
    assert gaps["identity"][-1] == "+5.00 [+5.00, +5.00]"


def test_the_headline_says_who_lost_and_who_did_not(tuned):
    said = starts_of(read_study(tuned))["headline"]
    assert said.startswith(
        "Right after insertion, against the base network: exactly as accurate: none and identity;"
        " significantly less accurate: paper."
    )
    assert "After epoch 8, against the base network: " in said
    # Between, only a significant difference is worth a sentence.
    (middle,) = (one for one in said.split(". ") if one.startswith("After epoch 1,"))
    assert middle.endswith("base network: significantly less accurate: none, paper and identity")
    assert "not significantly" not in said.split("After epoch 8")[0]


def test_the_page_the_plot_and_the_epochs_show_the_moment_of_insertion(tuned):
    kept = keep(tuned, "Starts")
    page = markdown_page(kept, "p.png", [("numbers", "n.json")])
    assert "| start | right after insertion | epoch 1 |" in page and "over the 15 cells" in page
    assert page.index("right after insertion") < page.index("## After fine-tuning")
    assert shape_of(kept) == "starts"
    (ax,) = figure_of(kept).axes
    assert [tick.get_text() for tick in ax.get_xticklabels()][:2] == ["inserted", "1"]
    lines = {bars.get_label(): bars.lines[0] for bars in ax.containers}
    assert list(lines) == ["none", "paper", "identity"]
    assert lines["paper"].get_ydata()[0] == pytest.approx(12.833, abs=1e-3)
    assert len(lines["paper"].get_ydata()) == 9
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts[0] == "base"
    first = metrics_csv(tuned).splitlines()[1]
    assert first == "none,0,0,,,,0.5,0.9,1,"


def test_without_the_base_study_the_accuracies_are_told_alone(tuned):
    (tuned / "base" / "study.toml").unlink()
    found = starts_of(read_study(tuned))
    assert found["gaps"] == [] and found["headline"] == "" and found["rows"][0][0] == "none"
    assert figure_of(keep(tuned)).axes


def test_the_report_shows_both_tables_where_there_are_any(tuned, study):
    page = write_report(tuned).read_text()
    assert "From the moment of insertion" in page and "12.83 ± 2.59" in page
    assert page.count('data-head="right after insertion"') == 4 + 3
    assert "From the moment of insertion" not in write_report(study).read_text()


def test_the_terminal_shows_both_tables(tuned):
    console = Console(width=160, record=True)
    for part in terminal_starts(read_study(tuned)):
        console.print(part, markup=False)
    text = console.export_text()
    assert "12.83 ± 2.59" in text and "To the base network" in text
