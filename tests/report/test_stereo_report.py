"""The report of stereo networks: an error in pixels, of which less is better."""

import json

import pytest
from tests_report_tools import cost

from foveate.report import headline, metric_of, plots, read_study, rows_of
from foveate.report.html import write_report
from foveate.report.kept import keep
from foveate.report.pictures import figure_of
from foveate.report.publish import publish
from foveate.report.starts import _verdict
from foveate.report.statistics import compare
from foveate.report.table import columns
from foveate.report.unit import PERCENT, PIXELS
from foveate.report.wording import limits, subject

NETWORK = "recurrent stereo with resnet18 at 0.25 of its width"
EPE = {"none": [2.00, 2.10, 2.20], "das": [1.50, 1.62, 1.69], "se": [2.40, 2.51, 2.60]}


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "study"
    for label, values in EPE.items():
        for seed, epe in enumerate(values):
            run = folder / "runs" / f"{label}-seed{seed}"
            run.mkdir(parents=True)
            (run / "config.toml").write_text(
                f'task = "stereo"\nseed = {seed}\n[data]\nsource = "scenes"\n[model]\n'
                f'name = "resnet18"\nwidth = 0.25\nattention = "{label}"\n'
                "head = { hidden = 24 }\n[train]\nepochs = 2\n"
            )
            lines = ["epoch,lr,train_loss,val_epe,val_epe_seen,val_bad1,val_bad3,val_d1,seconds"]
            lines += [f"{e},0.1,9,{epe * (3 - e)},{epe},0.5,0.2,0.1,3" for e in (1, 2)]
            (run / "metrics.csv").write_text("\n".join(lines) + "\n")
            told = {"versions": {}, "command": "foveate stereo compare", "threads": 1}
            (run / "environment.json").write_text(json.dumps(told))
            scores = {"epe": epe, "epe_seen": epe - 0.5, "bad1": 0.5, "bad3": 0.25, "d1": 0.2}
            scores |= {"bad1_seen": 0.4, "bad3_seen": 0.2, "pixels": 6144, "images": 2}
            scores |= {"disparity_mean": 5.0, "disparity_spread": 3.25, "classes": []}
            (run / "result.json").write_text(json.dumps({"task": "stereo", **scores}))
    costs = {label: cost(10**6, 10**9, 1.0 + 0.1 * place, 1.0) for place, label in enumerate(EPE)}
    (folder / "costs.json").write_text(json.dumps({**costs, "_conditions": {"threads": 1}}))
    (folder / "study.toml").write_text(
        'task = "stereo"\nattentions = ["none", "das", "se"]\nseeds = [0, 1, 2]\n'
    )
    (folder / "pictures").mkdir()
    (folder / "pictures.json").write_text("[]")
    return folder


def test_the_smaller_error_is_the_better_one(study):
    none, das, se = rows_of(read_study(study))
    assert none.verdict == "the plain network"
    assert das.verdict == "better than none" and se.verdict == "worse than none"
    said = headline([none, das, se])
    assert "Significantly better than the plain network: das." in said
    assert "Significantly worse than the plain network: se." in said
    assert "px, by attention, cannot be told" in said and "points" not in said
    assert subject(read_study(study)) == ("scenes", NETWORK)


def test_numbers_are_pixels_and_not_percents(study):
    rows = rows_of(read_study(study))
    shown = {column.title: column.text(rows[1]) for column in columns("accuracy", rows[1].metric)}
    assert shown["EPE px"].startswith("1.60 \N{PLUS-MINUS SIGN}")
    assert shown["to none, px"].startswith("\N{MINUS SIGN}0.50 [")
    further = {column.title: column.text(rows[1]) for column in columns("further", rows[1].metric)}
    assert further["EPE seen px"].startswith("1.10") and further["bad-3 %"].startswith("25.00")
    gaps = {column.title: column.text(rows[1]) for column in columns("gaps", rows[1].metric)}
    assert gaps["EPE seen, px"].startswith("\N{MINUS SIGN}0.50") and "bad-1" in gaps


def test_the_page_says_where_better_is(study):
    page = write_report(study).read_text(encoding="utf-8")
    assert "Down and to the left is better" in page and "accumulates of one pair" in page
    assert "differences in pixels, paired by seed" in page
    (_, chart), *_ = plots.learning_curves(read_study(study))
    assert "EPE px" in chart and "none has 2.10 px in EPE seen and 2.10 px in validation" in chart
    told = " ".join(limits(read_study(study), rows_of(read_study(study))))
    assert "less is better" in told and "would have an error of 3.25 px" in told


def test_the_published_picture_is_in_pixels(study, tmp_path):
    kept = keep(study)
    (ax,) = figure_of(kept).axes
    low, high = ax.get_xlim()
    assert 0 <= low < 1.6 and 2.6 < high < 4
    assert "validation EPE px" in ax.get_xlabel()
    page = publish(study, tmp_path / "out", "stereo").read_text(encoding="utf-8")
    assert "to das, px" in page and "percentage points, or in what a head says" in page


def test_fine_tuning_knows_which_side_is_better():
    gap = compare({0: 1.0, 1: 1.1, 2: 1.3}, {0: 2.0, 1: 2.2, 2: 2.2})
    assert _verdict(metric_of({"task": "stereo"}), gap, 0.01).endswith("more accurate")
    assert _verdict(metric_of({"task": "detection"}), gap, 0.01).endswith("less accurate")


def test_units():
    assert PERCENT.of(-0.1234, sign=True) == "\N{MINUS SIGN}12.34" and PIXELS.of(0.5) == "0.50"
    assert PERCENT.within(130.0) == 100 and PIXELS.within(130.0) == 130 and PIXELS.within(-1) == 0
    metric = metric_of({"task": "stereo"})
    assert metric.best([2.0, 1.0]) == 1.0 and metric.is_perfect(0.0) and not metric.is_perfect(1.0)
