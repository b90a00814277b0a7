"""Correct variants get numbers, wrong ones a reason."""

import copy
import dataclasses
from functools import partial

import pytest
import torch
from torch import nn

from foveate.bench import Settings, modules, suites, variants
from foveate.bench.cases import Case
from foveate.bench.check import Verdicts, complaint, evaluate
from foveate.bench.contest import Contest, Contestant, fixed_input, seeded
from foveate.bench.timing import both_call, compete, forward_call
from foveate.bench.variants import VARIANTS, Variant, line_up
from support import assert_same, gradients_of

CASE = Case(2, 20, 9, 7)
FAST = Settings(threads=1, seconds=0.0, minimum=2, quick=True)


def contest(suite="gate", versus=("torchvision", "conv"), dtype=torch.float32):
    return suites.variants_contest(suite, CASE, dtype, list(versus), "cpu")


def statuses(rows):
    return {row.variant: row.status for row in rows}


@pytest.mark.parametrize("suite", ["gate", "op"])
def test_all_variants_agree_and_are_timed(suite):
    rows = compete(contest(suite), FAST, Verdicts())
    assert len(rows) == 8
    assert set(statuses(rows).values()) == {"ok"}
    assert all(row.min_ms <= row.median_ms and row.rounds == 2 for row in rows)
    base = {row.mode: row for row in rows if row.variant == "torchvision"}
    for row in rows:
        assert row.speedup == pytest.approx(base[row.mode].median_ms / row.median_ms)


def test_bfloat16_is_timed_forward_beside_torchvision_in_float32():
    rows = compete(contest(dtype=torch.bfloat16), FAST, Verdicts())
    assert statuses(rows)["foveate"] == statuses(rows)["torchvision"] == "ok"
    assert {row.variant: row.computed_in for row in rows}["torchvision"] == "float32"
    assert {row.variant: row.computed_in for row in rows}["foveate"] == "bfloat16"
    assert {(row.mode, row.dtype) for row in rows} == {("forward", "bfloat16")}


def _zero(i, o, m, w):
    return 0 * modules.torchvision_mix(i, o, m, w)


def _shifted(i, o, m, w):
    return modules.torchvision_mix(i, o, m, w).roll(1, -1)


def _swapped(i, o, m, w):
    return modules.torchvision_mix(i, o.unflatten(1, (9, 2)).flip(2).flatten(1, 2), m, w)


def _no_offset_gradient(i, o, m, w):
    return modules.torchvision_mix(i, o.detach(), m, w)


def _half_mask_gradient(i, o, m, w):
    return modules.torchvision_mix(i, o, (m + m.detach()) / 2, w)


def _not_a_number(i, o, m, w):
    return float("nan") * modules.torchvision_mix(i, o, m, w)


def _raises(i, o, m, w):
    raise RuntimeError("no such kernel\nat all")


@pytest.mark.parametrize(
    ("mix", "said"),
    [
        (_zero, "failed: output off by"),
        (_shifted, "failed: output off by"),
        (_swapped, "failed: output off by"),
        (_no_offset_gradient, "failed: gradient"),
        (_half_mask_gradient, "failed: gradient of"),
        (_not_a_number, "failed: output off by nan"),
        (_raises, "failed: RuntimeError: no such kernel"),
        (modules.conv_mix, "failed: "),
    ],
)
@pytest.mark.parametrize("suite", ["gate", "op"])
def test_a_wrong_variant_gets_a_reason_and_no_number(monkeypatch, suite, mix, said):
    monkeypatch.setitem(VARIANTS, "wrong", Variant("wrong", mix, "a mutant"))
    rows = compete(contest(suite, ["torchvision", "wrong"]), FAST, Verdicts())
    wrong = [row for row in rows if row.variant == "wrong"]
    assert len(wrong) == 2
    assert all(row.status.startswith(said) and row.min_ms is row.speedup is None for row in wrong)
    assert "\n" not in wrong[0].status
    assert statuses(rows)["torchvision"] == "ok"


def test_without_its_baseline_a_table_has_times_and_no_ratios(monkeypatch):
    broken = dataclasses.replace(VARIANTS["torchvision"], mix=_shifted)
    monkeypatch.setitem(VARIANTS, "torchvision", broken)
    rows = compete(contest(), FAST, Verdicts())
    assert statuses(rows)["torchvision"].startswith("failed: output")
    assert all(row.min_ms and row.speedup is None for row in rows if row.variant == "foveate")


def test_a_variant_that_cannot_run_says_why():
    rows = compete(contest(versus=["torchvision", "deformops"]), FAST, Verdicts())
    assert statuses(rows)["deformops"].startswith("not run: ")
    assert "on CUDA only, and this is cpu" in statuses(rows)["deformops"]


def test_checks_are_made_once_for_repeated_tables():
    built = []

    def build(case):
        built.append(case)
        return nn.Conv2d(4, 4, 1)

    case = Case(1, 4, 3, 3)
    one = Contestant("conv", build, build)
    made = Contest("any", case, (one,), "conv", checks=((case, None, torch.float64),))
    verdicts = Verdicts()
    compete(made, FAST, verdicts)
    assert len(built) == 3  # the reference, the checked one, the timed one
    compete(made, FAST, verdicts, 2)
    assert len(built) == 4


@pytest.mark.parametrize("change", ["missing", "surplus", "shape"])
def test_complaints_name_what_is_missing(change):
    want = {"output": torch.ones(2, 2), "input": torch.ones(2), "weight": torch.ones(3)}
    got = copy.deepcopy(want)
    assert complaint(got, want, torch.float32) == ""
    if change == "missing":
        del got["weight"]
        assert complaint(got, want, torch.float32) == "gradients missing: weight"
    elif change == "surplus":
        got["bias"] = torch.ones(1)
        assert "bias" in complaint(got, want, torch.float32)
    else:
        got["weight"] = torch.ones(4)
        assert complaint(got, want, torch.float32) == "weight: shape (4,), not (3,)"


def test_rounding_of_a_zero_gradient_is_no_complaint_but_a_lost_gradient_is():
    want = {"output": torch.ones(2), "bias": torch.zeros(4), "weight": torch.ones(4)}
    got = {**want, "bias": torch.full((4,), 1e-8)}
    assert complaint(got, want, torch.float32) == ""
    assert "weight off by 1.0e+00" in complaint(
        {**want, "weight": torch.zeros(4)}, want, torch.float32
    )


@pytest.mark.parametrize("native", [True, False])
def test_the_composed_gate_is_the_module(native):
    gate = seeded(modules.new_gate, CASE).double()
    x = fixed_input(CASE).double()
    own = evaluate(gate, x, True)
    theirs = evaluate(modules.Composed(gate, modules.reference_mix, native), x, True)
    for name, value in own.items():
        assert_same(theirs[name], value, name)


def test_offsets_spread_over_half_a_pixel_to_two():
    for channels in (64, 256, 2048):
        gate = seeded(modules.new_gate, Case(1, channels, 14, 14))
        with torch.no_grad():
            features = gate.activation(gate.norm(gate.squeeze(torch.randn(1, channels, 14, 14))))
            spread = float(gate.offset(features)[:, :18].std())
        assert 0.3 < spread < 2.2


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("batch", [1, 2])
def test_the_norm_by_moments_has_the_right_gradient_in_both_layouts(batch, layout):
    x = torch.randn(batch, 4, 5, 3, dtype=torch.float64)
    upstream = torch.randn_like(x).contiguous(memory_format=layout)
    run = partial(modules._instance_norm, eps=1e-5)
    out, grads = gradients_of(run, {"x": x.contiguous(memory_format=layout)}, upstream)
    want, wanted = gradients_of(nn.functional.instance_norm, {"input": x}, upstream.contiguous())
    assert_same(out, want)
    assert_same(grads["x"], wanted["input"])


def test_self_attention_is_its_formula_and_runs_in_the_contest():
    rows = compete(suites.scaling_contest(Case(1, 8, 6, 5), {}), FAST, Verdicts())
    assert set(statuses(rows).values()) == {"ok"} and len(rows) == 6
    late = suites.scaling_contest(Case(1, 8, 6, 5), {"self-attention": "too slow"})
    assert statuses(compete(late, FAST, Verdicts()))["self-attention"] == "not run: too slow"


def test_every_attention_of_the_registry_has_a_row():
    rows = compete(suites.attention_contest(Case(1, 16, 6, 5)), FAST, Verdicts())
    from foveate import list_attentions

    assert set(statuses(rows)) == {"conv3x3", *list_attentions()}
    assert set(statuses(rows).values()) == {"ok"}
    point = compete(suites.attention_contest(Case(1, 16, 1, 1)), FAST, Verdicts())
    assert statuses(point)["das"] == "not run: it needs 2 pixels"


def test_networks_are_measured_with_and_without_attention():
    made = suites.network_contest("resnet10t", 64, ["se"])
    rows = compete(made, FAST, Verdicts())
    assert statuses(rows) == {"none": "ok", "se": "ok"}
    assert {row.case for row in rows} == {"resnet10t"}


def test_forward_keeps_no_graph_and_a_step_no_gradient():
    seen = []

    class Net(nn.Conv2d):
        def forward(self, x):
            seen.append((torch.is_grad_enabled(), x.requires_grad))
            return super().forward(x)

    net, x = Net(2, 2, 1), torch.rand(1, 2, 3, 3)
    forward_call(net, x)()
    assert seen == [(False, False)]
    both_call(net, x)()
    assert seen[-1] == (True, True)
    assert x.grad is None and all(weight.grad is None for weight in net.parameters())


def test_settings_choose_clock_and_statistic():
    assert (Settings(1).statistic, Settings(1).clock_name) == ("median", "processor")
    assert (Settings(2).statistic, Settings(2).clock_name) == ("minimum", "wall")
    assert (Settings(1, device="cuda").statistic, Settings(1, device="cuda").clock_name) == (
        "median",
        "wall",
    )


def test_the_line_up_names_near_baselines():
    assert [one.name for one in line_up([])] == ["foveate", "foveate-nchw"]
    assert variants.baseline_of(["conv", "torchvision"]) == "torchvision"
    with pytest.raises(ValueError, match="did you mean 'torchvision'"):
        line_up(["torchvison"])
