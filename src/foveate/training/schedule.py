"""The learning-rate schedules, as pure functions of the step: nothing to save, nothing to lose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from foveate.training.recipe import TrainSection

LOWER = ("val_loss", "val_epe")
"""Monitored values of which less is better."""


def lr_factor(
    train: TrainSection, step: int, steps_per_epoch: int, history: Sequence[float] = ()
) -> float:
    """Return the learning rate of a step as a fraction of the peak.

    It is 1 in the epochs of ``gates_first``, from whose end all else counts. Warm-up rises
    linearly from ``warmup_from`` to 1, which its last step reaches. After it, ``constant`` is 1;
    ``step`` is gamma to the number of milestones (in epochs) passed; ``exponential`` is gamma to
    the number of epochs; ``cosine`` falls from 1 to 0 over the steps that follow the warm-up;
    ``plateau`` is gamma to the number of times that the monitored value did not improve for more
    than ``patience`` epochs.

    Args:
        train: The recipe's section.
        step: Optimizer steps taken so far.
        steps_per_epoch: Optimizer steps of an epoch.
        history: The monitored value of each finished epoch, for ``plateau``.

    Example:
        >>> lr_factor(TrainSection(schedule="constant", warmup_epochs=2), step=1, steps_per_epoch=4)
        0.25
    """
    step -= train.lead_in * steps_per_epoch
    if step < 0:
        return 1.0
    epoch, epochs = step // steps_per_epoch, train.epochs - train.lead_in
    warmup = train.warmup_steps or round(train.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return train.warmup_from + (1 - train.warmup_from) * (step + 1) / warmup
    if train.schedule == "cosine":
        total = max(1, epochs * steps_per_epoch - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / total)))
    if train.schedule == "step":
        return float(train.gamma ** sum(epoch >= milestone for milestone in train.milestones))
    if train.schedule == "exponential":
        return float(train.gamma**epoch)
    if train.schedule == "plateau":
        return float(train.gamma ** plateaus(train, history[train.lead_in :]))
    return 1.0


def steps_per_epoch(trainer: Any) -> int:
    """Return the optimizer steps of an epoch of Lightning's trainer, once it knows its batches.

    The batches that are left over at the end make a step of their own.
    """
    return max(1, -(-int(trainer.num_training_batches) // int(trainer.accumulate_grad_batches)))


def step_of(trainer: Any, batch_idx: int) -> int:
    """Return the place of a batch's optimizer step in the run.

    It is counted from the epoch and not from the steps made, so that a run that goes on with
    another number of processes, whose epochs have other lengths, keeps its place in the schedule.
    """
    steps = steps_per_epoch(trainer)
    return int(trainer.current_epoch) * steps + batch_idx // int(trainer.accumulate_grad_batches)


def plateaus(train: TrainSection, history: Sequence[float]) -> int:
    """Count how often the monitored value failed to improve for more than ``patience`` epochs."""
    count, waited, best = 0, 0, None
    for value in history:
        if best is None or is_better(train, value, best):
            best, waited = value, 0
            continue
        waited += 1
        if waited > train.patience:
            count, waited = count + 1, 0
    return count


def should_stop(train: TrainSection, history: Sequence[float]) -> bool:
    """Tell whether ``early_stop`` ends a run with this monitored value of each epoch so far.

    The epochs of ``gates_first`` do not count: what comes after them is another training.
    """
    counted = history[train.lead_in :]
    if train.early_stop is None or not counted:
        return False
    return len(counted) - 1 - best_of(train, counted) >= train.early_stop


def best_of(train: TrainSection, history: Sequence[float]) -> int:
    """Return the place of the best monitored value, the earliest of equals."""
    best = 0
    for place, value in enumerate(history):
        if is_better(train, value, history[best]):
            best = place
    return best


def is_better(train: TrainSection, value: float, best: float) -> bool:
    """Tell whether a monitored value beats the best so far; NaN never does."""
    if math.isnan(best):
        return not math.isnan(value)
    return value < best if train.monitor in LOWER else value > best
