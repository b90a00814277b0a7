"""Latency: known delays come out as known ratios, and nothing is left changed."""

import time

import pytest
import torch
from torch import nn

from foveate.accounting.latency import latency, summarize


class Sleeps(nn.Module):
    """Takes a known time, and counts its calls for all copies alike."""

    def __init__(self, name, seconds, log):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.name, self.seconds, self.log = name, seconds, log

    def __deepcopy__(self, memo):
        twin = Sleeps(self.name, self.seconds, self.log)
        return twin.train(self.training)

    def forward(self, x):
        self.log.append((self.name, self.training, torch.is_grad_enabled()))
        time.sleep(self.seconds)
        return self.linear(x)


def test_ratios_follow_the_delays():
    nets = {"a": Sleeps("a", 0.004, []), "b": Sleeps("b", 0.012, [])}
    for mode in ("forward", "step"):
        timings = latency(nets, torch.rand(3, 2), mode=mode, repeats=5, warmup=1)
        assert timings["a"].ratio == timings["a"].low == timings["a"].high == 1.0
        assert timings["b"].ratio == pytest.approx(3, rel=0.25)
        assert timings["b"].low <= timings["b"].ratio <= timings["b"].high
        assert timings["b"].ms >= 12
        assert timings["b"].rounds == 5


def test_calls_are_interleaved_in_a_rotating_order_after_the_warm_up():
    log = []
    nets = {name: Sleeps(name, 0, log) for name in "abc"}
    latency(nets, torch.rand(1, 2), repeats=5, warmup=2)
    names = "".join(name for name, _, _ in log)
    assert names == "aabbcc" + "abc" + "bca" + "cab" + "abc" + "bca"
    assert {(training, grad) for _, training, grad in log} == {(False, False)}
    log.clear()
    latency(nets, torch.rand(1, 2), mode="step", repeats=5, warmup=1)
    assert {(training, grad) for _, training, grad in log} == {(True, True)}


def test_networks_are_left_as_they_were():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    latency({"a": net}, torch.rand(2, 3, 8, 8), mode="step", repeats=5, warmup=1)
    assert not net.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_the_bound_in_seconds_ends_the_rounds_though_never_before_five():
    net = {"a": Sleeps("a", 0.01, [])}
    assert latency(net, torch.rand(1, 2), repeats=99, warmup=1, seconds=1e-9)["a"].rounds == 5


def test_the_spread_comes_from_five_blocks():
    base = [1.0] * 10
    mine = [2.0, 3.0, 4.0, 5.0, 6.0, 9.0, 9.0, 9.0, 9.0, 5.5]
    timing = summarize({"base": base, "mine": mine})["mine"]
    assert (timing.ms, timing.ratio, timing.low, timing.high) == (2.0, 2.0, 2.0, 5.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": {}}, "at least one network"),
        ({"mode": "train"}, "known mode"),
        ({"repeats": 4}, "repeats >= 5"),
        ({"warmup": 0}, "warmup >= 1"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = {"models": {"a": nn.Linear(2, 2)}, "example": torch.rand(1, 2), **change}
    with pytest.raises(ValueError, match=message):
        latency(**arguments)
