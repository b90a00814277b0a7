"""The timer, with a clock that only moves when a call moves it."""

import pytest
import torch

from foveate.accounting.interleave import interleave

CPU = torch.device("cpu")


class Clock:
    """Stands still but for what the calls take."""

    def __init__(self):
        self.now, self.log = 0.0, ""

    def __call__(self):
        return self.now

    def call(self, label, *seconds):
        durations = list(seconds)

        def run():
            self.log += label
            self.now += durations.pop(0) if len(durations) > 1 else durations[0]

        return run


def test_every_label_gets_the_time_of_its_own_calls():
    clock = Clock()
    calls = {"a": clock.call("a", 0.001, 0.003), "b": clock.call("b", 0.01)}
    times = interleave(calls, CPU, repeats=3, minimum=3, clock=clock)
    assert times["a"] == pytest.approx([1, 3, 3])
    assert times["b"] == pytest.approx([10, 10, 10])


def test_the_order_rotates_after_an_untimed_warm_up():
    clock = Clock()
    calls = {label: clock.call(label, 1) for label in "abc"}
    times = interleave(calls, CPU, repeats=4, minimum=4, warmup=2, clock=clock)
    assert clock.log == "aabbcc" + "abc" + "bca" + "cab" + "abc"
    assert {len(rounds) for rounds in times.values()} == {4}


def test_the_bound_ends_the_rounds_but_leaves_the_least_number():
    clock = Clock()
    calls = {"a": clock.call("a", 1)}
    times = interleave(calls, CPU, repeats=99, minimum=3, seconds=-1, clock=clock)
    assert times == {"a": [1000] * 3}
