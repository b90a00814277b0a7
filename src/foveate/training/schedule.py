"""The learning-rate schedules, as pure functions of the step: nothing to save, nothing to lose."""

from __future__ import annotations

import math
from collections.abc import Sequence

from foveate.training.recipe import TrainSection


def lr_factor(
    train: TrainSection, step: int, steps_per_epoch: int, history: Sequence[float] = ()
) -> float:
    """Return the learning rate of a step as a fraction of the peak.

    Warm-up rises linearly, ``(step + 1) / warmup_steps``. After it, ``constant`` is 1; ``step`` is
    gamma to the number of milestones (in epochs) passed; ``cosine`` falls from 1 to 0 over the
    steps that follow the warm-up; ``plateau`` is gamma to the number of times that the monitored
    value did not improve for more than ``patience`` epochs.

    Args:
        train: The recipe's section.
        step: Optimizer steps taken so far.
        steps_per_epoch: Optimizer steps of an epoch.
        history: The monitored value of each finished epoch, for ``plateau``.

    Example:
        >>> lr_factor(TrainSection(schedule="constant", warmup_epochs=2), step=1, steps_per_epoch=4)
        0.25
    """
    warmup = round(train.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return (step + 1) / warmup
    if train.schedule == "cosine":
        total = max(1, train.epochs * steps_per_epoch - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / total)))
    if train.schedule == "step":
        epoch = step // steps_per_epoch
        return float(train.gamma ** sum(epoch >= milestone for milestone in train.milestones))
    if train.schedule == "plateau":
        return float(train.gamma ** plateaus(train, history))
    return 1.0


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


def is_better(train: TrainSection, value: float, best: float) -> bool:
    """Tell whether a monitored value beats the best so far; NaN never does."""
    if math.isnan(best):
        return not math.isnan(value)
    return value < best if train.monitor == "val_loss" else value > best
