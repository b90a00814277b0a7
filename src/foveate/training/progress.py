"""What the user sees while training runs: one bar on a terminal, one line per run elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from foveate.training.trainee import Trainee

REFRESH_SECONDS = 0.2
_SCORES = {
    "val_top1": (100, "val top-1 {:.1f} %"),
    "val_ap": (100, "val AP {:.1f} %"),
    "val_miou": (100, "val mIoU {:.1f} %"),
    "val_epe": (1, "val EPE {:.3f} px"),
}
"""Factor and words of the score of each task, by its column."""


class Reporter:
    """Shows the progress of one run or of many.

    Args:
        epochs: Epochs of all runs together.
        runs: Number of runs.
        enabled: Whether to show anything.
        console: Where to write; stderr by default.
    """

    def __init__(
        self, epochs: int, runs: int = 1, *, enabled: bool = True, console: Console | None = None
    ) -> None:
        self.console = console or Console(file=sys.stderr)
        self.enabled, self.runs = enabled, runs
        self._label, self._number, self._epochs = "", 0, 1
        self._row: dict[str, float] | None = None
        self._base = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not (enabled and self.console.is_terminal),
        )
        self._task = self._bar.add_task("starting", total=epochs)

    def __enter__(self) -> Reporter:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def begin(self, label: str, number: int, epochs: int, done: int = 0) -> None:
        """Start to show run ``number`` (from 1), of which ``done`` epochs are finished already."""
        self._label, self._number, self._epochs, self._row = label, number, epochs, None
        self._bar.update(self._task, completed=self._base + done)
        self._describe(done)

    def step(self, epochs: float) -> None:
        """Show that ``epochs`` of the present run, a fraction maybe, are over."""
        self._bar.update(self._task, completed=self._base + epochs)

    def epoch(self, row: dict[str, float]) -> None:
        """Show the numbers of a finished epoch."""
        self._row = row
        self._describe(int(row["epoch"]))

    def note(self, text: str) -> None:
        """Show what is done beside the runs."""
        self._bar.update(self._task, description=escape(text))

    def end(self, note: str = "") -> None:
        """Close the present run."""
        self._base += self._epochs
        self._bar.update(self._task, completed=self._base)
        if self.enabled and (self.runs > 1 or not self.console.is_terminal):
            self.console.print(
                escape(f"{self._head()}: {note or self._numbers()}"),
                highlight=False,
                soft_wrap=True,
            )

    def _head(self) -> str:
        return f"run {self._number} of {self.runs}, {self._label}" if self.runs > 1 else self._label

    def _numbers(self) -> str:
        if self._row is None:
            return "starting"
        shown = (
            said.format(factor * self._row[name])
            for name, (factor, said) in _SCORES.items()
            if name in self._row
        )
        return next(shown, f"loss {self._row.get('train_loss', float('nan')):.3g}")

    def _describe(self, epoch: int) -> None:
        text = f"{self._head()}, epoch {epoch}/{self._epochs}, {self._numbers()}"
        self._bar.update(self._task, description=escape(text))


class ShowProgress(Callback):  # type: ignore[misc]
    """Tells a reporter how far Lightning's trainer has come."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self._shown = 0.0

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Move the bar, a few times a second at most."""
        now = time.monotonic()
        if now - self._shown > REFRESH_SECONDS:
            self._shown = now
            share = (batch_idx + 1) / max(1, int(trainer.num_training_batches))
            self.reporter.step(trainer.current_epoch + share)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the numbers of the epoch before."""
        if isinstance(pl_module, Trainee) and pl_module.rows:
            self.reporter.epoch(pl_module.rows[-1])

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the numbers of the last epoch."""
        if isinstance(pl_module, Trainee) and pl_module.rows:
            self.reporter.epoch(pl_module.rows[-1])
