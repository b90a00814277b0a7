"""A run: steps, repetitions, interruption, memory, scaling."""

import json
import subprocess

import pytest
import torch
from bench_tools import row

from foveate.bench import Plan, Session, Settings, cases, memory, probe, read_result, scaling
from foveate.bench import session as session_module
from foveate.bench.check import Verdicts
from foveate.bench.goals import disturbed
from foveate.bench.roofline import Rates

FAST = Settings(threads=1, seconds=0.001, minimum=2, most=2, quick=True)


@pytest.fixture(autouse=True)
def _rates(monkeypatch):
    rates = Rates({"float32": 100.0, "bfloat16": 100.0}, 10.0)
    monkeypatch.setattr(session_module, "measure_rates", lambda *_: rates)


@pytest.fixture
def no_processes(monkeypatch):
    """Memory by arithmetic, not by processes."""
    asked = []

    def measure(suite, case, variant, mode, settings):
        asked.append((suite, case.name, variant, mode))
        if variant == "conv":
            raise RuntimeError("killed")
        return 100.0 if variant == "torchvision" else 50.0

    monkeypatch.setattr(memory, "measure", measure)
    monkeypatch.setattr(probe, "why_not", lambda device: [])
    return asked


def test_a_quick_run_of_all_tables_holds_a_row_for_each(no_processes):
    told = []
    plan = Plan(("gate", "op", "memory", "scaling"), dtypes=("float32", "bfloat16"))
    result = Session(plan, FAST).run(lambda label, share: told.append((label, share)))
    failed = [one for one in result.rows if one.status.startswith("failed")]
    assert {(one.suite, one.variant, one.status) for one in failed} == {
        ("memory", "conv", "failed: killed")
    }
    assert {one.suite for one in result.rows} == {"gate", "op", "memory", "scaling"}
    assert told[0] == ("rates of the machine", 0.0)
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert "gate 1x16x14x14 bfloat16" in [label for label, _ in told]
    assert all(one.roof_ratio for one in result.rows if one.suite == "gate")
    assert result.conditions.quick and result.conditions.repeat == 1
    assert result.conditions.gemm_gflops["float32"] == 100.0


def test_repetitions_are_both_kept(no_processes, tmp_path):
    result = Session(Plan(("gate",), repeat=2), FAST, tmp_path / "r.json").run()
    assert [one.run for one in result.rows].count(1) == [one.run for one in result.rows].count(2)
    assert [one.name for one in tmp_path.iterdir()] == ["r.json"]
    assert read_result(tmp_path / "r.json").rows == result.rows


def test_ctrl_c_keeps_the_rows_of_finished_steps(monkeypatch, tmp_path):
    real, done = session_module.compete, []

    def compete(*arguments):
        if done:
            raise KeyboardInterrupt
        done.append(real(*arguments))
        return done[0]

    monkeypatch.setattr(session_module, "compete", compete)
    before = torch.get_num_threads()
    result = Session(Plan(("gate",)), FAST, tmp_path / "r.json").run()
    assert result.conditions.interrupted
    assert result.rows == done[0] and result.rows
    assert [one.name for one in tmp_path.iterdir()] == ["r.json.partial"]
    assert read_result(tmp_path / "r.json.partial").rows == result.rows
    assert torch.get_num_threads() == before


def test_threads_are_put_back_and_used(monkeypatch):
    used = []

    def compete(*arguments):
        used.append(torch.get_num_threads())
        return []

    monkeypatch.setattr(session_module, "compete", compete)
    before = torch.get_num_threads()
    Session(Plan(("gate",)), Settings(threads=2, quick=True)).run()
    assert set(used) == {2} and torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"suites": ("gat",)}, "known suite; got 'gat'; did you mean 'gate'"),
        ({"suites": ()}, "a suite and a dtype"),
        ({"versus": ("torchvison",)}, "did you mean 'torchvision'"),
        ({"dtypes": ("float16",)}, "known --dtype"),
        ({"patterns": ("9x*",)}, "matches a case of gate"),
        ({"repeat": 0}, "repeat >= 1"),
    ],
)
def test_a_wrong_plan_is_refused_before_anything_runs(changes, message):
    with pytest.raises(ValueError, match=message):
        Session(Plan(**changes), FAST)


def test_scaling_stops_a_variant_before_it_takes_too_long(monkeypatch):
    """Times by a made-up law: 1 s a step at 100 pixels for self-attention, with exponent 2."""
    seen = []

    def compete(contest, settings, verdicts, number):
        rows = []
        for one in contest.contestants:
            power = 2 if one.name == "self-attention" else 1
            ms = 1000 * (contest.case.pixels / 100) ** power
            status = f"not run: {one.reasons[0]}" if one.reasons else "ok"
            made = {"case": contest.case.name, "suite": "scaling", "status": status}
            for mode in ("forward", "forward+backward"):
                rows.append(row(one.name, None if one.reasons else ms, mode=mode, **made))
        seen.append(rows)
        return rows

    monkeypatch.setattr(scaling, "compete", compete)
    monkeypatch.setattr(scaling, "BOUND", 5.0)
    points = scaling.Scaling(Settings(2), Verdicts())
    for side in (5, 10, 20, 30):
        points.point(side, 1)
    # 400 pixels: 16 s for self-attention, 4 s for the others; 900 pixels: 9 s for these.
    by_size = [{one.variant: one.status for one in rows} for rows in seen]
    assert set(by_size[1].values()) == {"ok"}
    assert by_size[2]["self-attention"] == (
        "not run: a step would take some 16 s, the bound is 5 s"
    )
    assert by_size[2]["gate"] == "ok" and by_size[3]["gate"].endswith("some 9 s, the bound is 5 s")
    assert by_size[3]["self-attention"] == by_size[2]["self-attention"]
    points.point(5, 2)  # a repetition starts anew
    assert {one.status for one in seen[-1]} == {"ok"}


def test_memory_at_a_size_of_the_scaling_suite(no_processes):
    rows = scaling.Scaling(Settings(1, seconds=0.0, minimum=2), Verdicts()).point(28, 1)
    held = {(one.variant, one.mode): one.memory_mib for one in rows if one.memory_mib}
    names = ("gate", "self-attention", "conv3x3")
    assert held == {(name, "forward+backward"): 50.0 for name in names}


def test_memory_is_measured_in_a_process_of_its_own():
    if probe.why_not("cpu"):
        pytest.skip(probe.why_not("cpu")[0])
    settings = Settings(threads=1)
    mib = memory.measure("gate", cases.Case(1, 64, 100, 100), "torchvision", "forward", settings)
    # The columns of the deformable step alone are 9 * 12 * 10,000 floats.
    assert 4.1 < mib < 60


def test_a_failing_process_is_told_by_its_last_line(monkeypatch):
    def run(command, **_):
        assert json.loads(command[-1])["threads"] == 1
        return subprocess.CompletedProcess(command, 1, "", "Traceback\nMemoryError: too large\n")

    monkeypatch.setattr(memory.subprocess, "run", run)
    with pytest.raises(RuntimeError, match=r"^MemoryError: too large$"):
        memory.measure("gate", cases.QUICK[0], "foveate", "forward", Settings(threads=1))


def test_where_memory_cannot_be_read_the_row_says_so(monkeypatch):
    monkeypatch.setattr(probe, "why_not", lambda device: ["no such thing here"])
    result = Session(Plan(("memory",)), FAST).run()
    assert {one.status for one in result.rows} == {"not run: no such thing here"}


def test_disturbed_rows_are_named():
    from bench_tools import result

    rows = [row(speedup=3.0), row(speedup=3.4, run=2), row("conv", speedup=4.0)]
    assert disturbed(result(rows)) == []
    rows[1] = row(speedup=3.6, run=2)
    assert disturbed(result(rows)) == ["gate 1x256x56x56 float32 forward foveate: 3.00x to 3.60x"]
