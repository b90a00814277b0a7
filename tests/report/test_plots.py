"""Charts: places are computed from values."""

import itertools
import re

import pytest
from tests_report_tools import write_run, write_study

from foveate.report import plots, read_study, rows_of
from foveate.report.svg import Chart, padded, ticks


def test_ticks_are_round_and_inside():
    assert ticks(0, 1) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(63.2, 88.1) == [65.0, 70.0, 75.0, 80.0, 85.0]
    assert ticks(0.148, 0.163) == [0.15, 0.1525, 0.155, 0.1575, 0.16, 0.1625]
    assert ticks(3, 3) == [3]
    assert ticks(1, 3, whole=True) == [1, 2, 3]
    assert ticks(1, 30, whole=True) == [5, 10, 15, 20, 25, 30]


def test_ranges_hold_all_values():
    assert padded([]) == (0.0, 1.0)
    low, high = padded([5.0, float("nan"), 5.0])
    assert low < 5 < high


def test_a_chart_puts_values_where_they_belong():
    chart = Chart("t", "d", (0, 10), (0, 100), "x", "y", width=160, height=166)
    # 100 units wide and high inside the margins 46, 14, 26, 40.
    assert (chart.x(0), chart.x(10), chart.x(5)) == (46, 146, 96)
    assert (chart.y(0), chart.y(100), chart.y(25)) == (126, 26, 101)
    chart.line([(0, 0), (5, float("nan")), (10, 100)], "c1")
    assert 'points="46.0,126.0 146.0,26.0"' in chart.render()


def test_labels_do_not_overlap():
    chart = Chart("t", "d", (0, 1), (0, 1), "x", "y")
    for name in ("first", "second", "third"):
        chart.label((0.5, 0.5), name, "c1")
    heights = [
        float(y) for y in re.findall(r'class="word c1" x="[\d.]+" y="([\d.]+)"', chart.render())
    ]
    assert len(heights) == 3
    assert all(abs(b - a) >= 13 for a, b in itertools.pairwise(heights))


def test_curves_are_means_over_seeds_and_bands_their_range(tmp_path):
    study = write_study(tmp_path / "s", {"none": [0.5, 0.7]}, seeds=(0, 1))
    (curve,) = plots.learning_curves(read_study(study))
    assert curve[0] == "none"
    last = plots._curve(read_study(study), "none")[-1]
    assert last[0] == 8
    assert last[1]["val_top1"] == pytest.approx((0.5, 0.6, 0.7))
    assert "60.0 % in validation" in curve[1]
    assert curve[1].count("<polyline") == 2 and curve[1].count("<polygon") == 1


def test_unfinished_runs_show_as_far_as_they_got(tmp_path):
    study = write_study(tmp_path / "s", {"none": [0.5]}, seeds=(0,))
    write_run(study, "das", 0, 0.6, epochs=1, finished=False)
    curves = dict(plots.learning_curves(read_study(study)))
    assert set(curves) == {"none", "das"}
    assert "<circle" in curves["das"]  # One epoch is a dot.


def test_cost_charts_name_every_variant_with_both_numbers(study):
    record = read_study(study)
    macs, time = plots.cost_charts(record, rows_of(record))
    assert "das: 0.16, 82.3 %" in macs and "das: 1.62, 82.3 %" in time
    for label in ("none", "das", "se", "wider"):
        assert f">{label}</text>" in macs
    assert plots.cost_charts(record, []) == []


def test_none_is_gray_and_others_differ():
    style = plots.styles(["none", "das", "se", "wider"])
    assert style["none"] == "c0" and len(set(style.values())) == 4


def test_an_interval_past_the_possible_is_cut_to_it(tmp_path):
    study = write_study(tmp_path / "s", {"none": [0.5, 0.9], "das": [0.6, 0.7]}, seeds=(0, 1))
    record = read_study(study)
    chart = plots.cost_charts(record, rows_of(record))[0]
    # The half-width of none is 2.5: its bar runs over all of the axis and not beyond.
    heights = [float(y) for y in re.findall(r'class="bar c0" [^>]*? y[12]="([-\d.]+)"', chart)]
    heights += [float(y) for y in re.findall(r'class="bar c0" [^>]*? y2="([-\d.]+)"', chart)]
    assert heights and all(26 <= y <= 260 for y in heights)
    assert max(heights) - min(heights) > 150
