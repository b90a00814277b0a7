"""What is shown of a result: goals, tables, Markdown, the plot."""

import io
import struct

import pytest
from bench_tools import BOTH, full_rows, result, row, scaling_rows
from rich.console import Console

from foveate.bench import markdown
from foveate.bench.goals import GOALS, judge
from foveate.bench.plot import scaling_png
from foveate.bench.tables import number, show
from foveate.bench.wording import closing_lines

SUITES = ("gate", "memory", "scaling")


def shown(made, width):
    text = io.StringIO()
    show(made, Console(file=text, width=width))
    return text.getvalue()


def test_goals_are_reached_or_missed_by_the_geometric_mean():
    verdicts = judge(full_rows(speedup=3.0, distance=1.2, memory=0.5), "minimum")
    said = [(one.goal.limit, round(one.value, 3), one.reached) for one in verdicts]
    assert said == [
        (2.4, 3.0, True),
        (4.3, 3.0, False),
        (2.7, 3.0, True),
        (5.2, 3.0, False),
        (1.15, 1.2, False),
        (1.35, 1.2, True),
        (0.6, 0.5, True),
        (0.6, 0.5, True),
        (4.0, 5.0, True),
    ]
    assert str(verdicts[0]) == (
        "N = 1, forward: speed-up over torchvision 3.00x (goal >= 2.4x): reached"
    )
    assert str(verdicts[4]).endswith("time over that of conv 1.20x (goal <= 1.15x): missed")
    assert "memory over torchvision 0.50x (goal <= 0.6x): reached" in str(verdicts[6])


def test_a_goal_with_a_missing_map_is_not_judged():
    rows = [one for one in full_rows() if one.case != "1x512x7x7"]
    verdicts = judge(rows, "minimum")
    assert [one.reached is None for one in verdicts] == [i in (0, 1, 4, 5) for i in range(9)]
    assert str(verdicts[0]).endswith("not measured (goal >= 2.4x)")
    assert len(GOALS) == 9


def test_ratios_are_those_within_each_repetition():
    rows = [
        *(row("torchvision", 8.0), row("foveate", 2.0)),
        *(row("torchvision", 99.0, run=2), row("foveate", 99.0, run=2)),
    ]
    text = shown(result(rows), 80)
    assert "2 2.00x" in text  # the mean of 4 and 1, not 8 / 2


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_and_show_losses_and_what_was_not_run(width):
    rows = [
        *full_rows(speedup=0.8),
        *scaling_rows(),
        row("deformops", None, status="not run: no"),
        row("foveate-nchw", None, status="failed: off"),
    ]
    text = shown(result(rows, SUITES), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "0.80x" in text and "not run" in text and "failed" in text
    assert "geometric" in text and "exponent" in text and "2.00" in text
    assert "torchvision (float32)" not in text or "bfloat16" in text
    assert ("[median±iqr]" in text) == (width == 120)


def test_reasons_are_told_once_with_their_maps():
    rows = [
        row("deformops", None, case=f"1x8x{side}x{side}", status="not run: absent")
        for side in range(2, 8)
    ]
    lines = closing_lines(result(rows, quick=True))
    assert "gate deformops at 1x8x2x2, 1x8x3x3, 1x8x4x4 and 3 more: not run: absent" in lines
    assert "toy sizes: no number means anything" in lines
    assert not any("goal" in line for line in lines)


def test_conditions_stand_in_one_line():
    line = closing_lines(result([row()], dirty=True))[-1]
    for part in ("Some CPU, 2 cores, 2 threads", "150 GFLOP/s float32", "30 GB/s", "torch 2.9",
                 "commit 0123456789ab with changes", "2026-01-02", "load 0.1 before"):  # fmt: skip
        assert part in line


def test_the_readme_table_shows_every_map_and_every_goal():
    text = markdown.performance([result(full_rows(0.9, 1.2, 0.7), SUITES)])
    assert "| map, C x H x W | N = 1, forward | N = 1, forward+backward | N = 8, forward |" in text
    assert "| 256x56x56 | 0.90x | 0.90x | 0.90x | 0.90x |" in text
    assert "| 256x200x304 | 0.90x | 0.90x | - | - |" in text
    assert "| **geometric mean** | **0.90x** |" in text
    assert "| time over that of an ordinary convolution | 1.20x |" in text
    assert text.count("- N = ") == 6 and "missed" in text
    assert "`foveate bench`" in text and "commit 0123456789ab" in text
    assert markdown.performance([]) == markdown.scaling([]) == "Not run."


def test_the_readme_table_of_scaling_says_who_stopped():
    rows = scaling_rows()
    late = "not run: a step would take some 16 s, the bound is 6 s"
    for mode in ("forward", BOTH):
        shared = {"case": "1x64x512x512", "suite": "scaling", "mode": mode}
        rows.append(row("self-attention", None, status=late, **shared))
        rows.append(row("gate", 99.0, **shared))
    text = markdown.scaling([result(rows, ("scaling",))])
    assert "| map | gate forward, ms | self-attention forward, ms | gate step, ms |" in text
    assert "| 512 x 512 | 99 | not run | 99 | not run | - | not run |" in text
    assert "**2.00**" in text
    assert "self-attention stops before 512 x 512: a step would take some 16 s" in text
    assert "maps from 1,600 to 262,144 pixels (self-attention to 102,400)." in text


def test_the_plot_is_a_picture():
    data = scaling_png(result(scaling_rows(), ("scaling",)))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert width > 900 and height > 300


def test_numbers_have_three_digits():
    assert [number(value) for value in (0.01234, 1.0, 99.96, 1234.5)] == [
        "0.0123",
        "1",
        "100",
        "1234",
    ]
