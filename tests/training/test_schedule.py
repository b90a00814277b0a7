"""Schedules in closed form."""

import math

import pytest

from foveate.training import TrainSection
from foveate.training.schedule import is_better, lr_factor, plateaus


def test_warm_up_rises_linearly_and_reaches_the_peak():
    train = TrainSection(epochs=4, schedule="constant", warmup_epochs=2)
    values = [lr_factor(train, step, 5) for step in range(12)]
    assert values[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert values[10:] == [1.0, 1.0]


def test_warm_up_counts_steps_and_starts_where_it_is_told_to():
    train = TrainSection(schedule="constant", warmup_steps=4, warmup_from=0.2, warmup_epochs=3)
    factors = [lr_factor(train, step, steps_per_epoch=3) for step in range(6)]
    assert factors == pytest.approx([0.4, 0.6, 0.8, 1.0, 1.0, 1.0])


def test_cosine_falls_from_one_to_zero_over_what_follows_the_warm_up():
    train = TrainSection(epochs=5, schedule="cosine", warmup_epochs=1)
    assert lr_factor(train, 4, 4) == 1.0
    assert lr_factor(train, 12, 4) == pytest.approx(0.5)
    assert lr_factor(train, 20, 4) == pytest.approx(0.0, abs=1e-12)
    assert lr_factor(train, 8, 4) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))


def test_a_run_shorter_than_its_warm_up_stays_on_the_ramp():
    train = TrainSection(epochs=1, schedule="cosine", warmup_epochs=2)
    assert [lr_factor(train, step, 2) for step in range(2)] == [0.25, 0.5]


def test_steps_fall_at_the_milestones():
    train = TrainSection(epochs=6, schedule="step", milestones=[2, 4], gamma=0.1)
    values = [lr_factor(train, 3 * epoch, 3) for epoch in range(6)]
    assert values == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert lr_factor(train, 5, 3) == 1.0


def test_a_plateau_is_left_after_patience_epochs_without_gain():
    train = TrainSection(epochs=9, schedule="plateau", patience=1, gamma=0.5)
    assert plateaus(train, [0.1, 0.2, 0.2]) == 0
    assert plateaus(train, [0.1, 0.2, 0.2, 0.2]) == 1
    assert plateaus(train, [0.1, 0.2, 0.2, 0.2, 0.1, 0.1]) == 2
    assert lr_factor(train, 99, 4, [0.1, 0.2, 0.2, 0.2]) == 0.5


def test_better_means_higher_accuracy_or_lower_loss_and_never_nan():
    top1, loss = TrainSection(monitor="val_top1"), TrainSection(monitor="val_loss")
    assert is_better(top1, 0.3, 0.2)
    assert not is_better(top1, 0.2, 0.2)
    assert is_better(loss, 0.2, 0.3)
    assert not is_better(loss, math.nan, 0.3)
    assert is_better(loss, 9.0, math.nan)
