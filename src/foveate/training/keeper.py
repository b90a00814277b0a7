"""When a run writes what it has: its table of epochs, the last checkpoint and the best one."""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint

from foveate.core import expected
from foveate.training.checkpoints import keep_previous, second_name
from foveate.training.run_folder import RunFolder
from foveate.training.schedule import best_of, should_stop
from foveate.training.trainee import Trainee

# With several processes the clock of the first decides for all, which costs a message.
_ASK_THE_CLOCK_EVERY = 20


class Keeper(Checkpoint):  # type: ignore[misc]
    """Writes ``metrics.csv``, ``last.ckpt`` and ``best.ckpt``; ends a run that no longer improves.

    Every process takes part in saving, so all must decide alike.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._written = time.monotonic()
        self._warned: set[str] = set()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave a run alone that had stopped early when it was cut off."""
        self._end_early(trainer, _trainee(pl_module))

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write a checkpoint within the epoch where one is due."""
        batches, every = int(trainer.num_training_batches), trainer.accumulate_grad_batches
        # Half a step cannot be resumed, and the end of the epoch has its own checkpoint.
        if batch_idx + 1 < batches and (batch_idx + 1) % every == 0 and self._is_due(trainer):
            module = _trainee(pl_module)
            module.within_epoch = True
            self._save_last(trainer)
            module.within_epoch = False

    def _is_due(self, trainer: pl.Trainer) -> bool:
        train = _trainee(trainer.lightning_module).recipe.train
        step = trainer.global_step
        if train.checkpoint_steps is not None and step % train.checkpoint_steps == 0:
            return True
        asked = trainer.world_size == 1 or step % _ASK_THE_CLOCK_EVERY == 0
        return train.checkpoint_minutes > 0 and asked and self._time_has_passed(trainer)

    def _time_has_passed(self, trainer: pl.Trainer) -> bool:
        train = _trainee(trainer.lightning_module).recipe.train
        due = time.monotonic() - self._written >= 60 * train.checkpoint_minutes
        return bool(trainer.strategy.broadcast(due))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what the epoch came to."""
        module = _trainee(pl_module)
        rows, train = module.rows, module.recipe.train
        if trainer.is_global_zero:
            self.run.write_metrics(rows)
        if trainer.logger is not None:
            numbers = {key: value for key, value in rows[-1].items() if key != "epoch"}
            trainer.logger.log_metrics(numbers, step=int(rows[-1]["epoch"]))
        self._warn_once(module)
        self._end_early(trainer, module)
        is_last = len(rows) == train.epochs or trainer.should_stop
        due = self._time_has_passed(trainer)
        fresh = train.keep_checkpoints if is_last else due
        wanted = train.keep == "best" or train.keep_checkpoints
        is_best = wanted and best_of(train, module.history) == len(rows) - 1
        # The best one first: a run killed between the two does this epoch again and has it again.
        if is_best:
            trainer.save_checkpoint(self.run.best_checkpoint, weights_only=not fresh)
        if fresh:
            self._save_last(trainer, is_best)

    def _end_early(self, trainer: pl.Trainer, module: Trainee) -> None:
        if should_stop(module.recipe.train, module.history):
            trainer.should_stop = True

    def _save_last(self, trainer: pl.Trainer, is_best: bool = False) -> None:
        """Save the last checkpoint: a second name of the best one, or a file of its own."""
        if trainer.is_global_zero:
            keep_previous(self.run)
        if not is_best:
            trainer.save_checkpoint(self.run.last_checkpoint)
        elif trainer.is_global_zero:
            second_name(self.run.best_checkpoint, self.run.last_checkpoint)
        self._written = time.monotonic()

    def _warn_once(self, module: Trainee) -> None:
        """Warn of unreadable images and of a loss that is not finite, once each."""
        if module.unreadable and "unreadable" not in self._warned:
            self._warned.add("unreadable")
            names = ", ".join(list(module.unreadable)[:5])
            more = f" and {len(module.unreadable) - 5} more" if len(module.unreadable) > 5 else ""
            warnings.warn(
                f"{len(module.unreadable)} unreadable images are left out: {names}{more}",
                stacklevel=2,
            )
        row = module.rows[-1]
        if not math.isfinite(row["train_loss"]) and "diverged" not in self._warned:
            self._warned.add("diverged")
            warnings.warn(
                f"the training loss is not finite in epoch {int(row['epoch'])}; "
                "a lower learning rate or clip_norm may help",
                stacklevel=2,
            )


def _trainee(module: pl.LightningModule) -> Trainee:
    if not isinstance(module, Trainee):
        raise TypeError(expected("Keeper", "a Trainee", type(module).__name__))
    return module
