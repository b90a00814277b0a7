"""How an attention that starts as the identity is opened by a schedule."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from torch import nn

from foveate.surgery import set_openness_
from foveate.training.schedule import steps_per_epoch


class Opening(Callback):  # type: ignore[misc]
    """Raises the openness from 0 to 1 in a straight line over the first epochs.

    The value is a function of the step, so a resumed run goes on where it was.

    Args:
        network: The network with attention inserted by ``start="identity"``.
        epochs: After how many epochs the attention is fully open.
    """

    def __init__(self, network: nn.Module, epochs: float) -> None:
        self.network, self.epochs = network, epochs
        self._value: float | None = None
        for name, parameter in network.named_parameters():
            if name.endswith("openness"):
                # The schedule alone moves it: the optimizer would push it off the line.
                parameter.requires_grad_(False)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the openness of this step."""
        self._open(trainer)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the openness that the steps so far have earned: fully open at the end of the line."""
        self._open(trainer)

    def _open(self, trainer: pl.Trainer) -> None:
        value = 0.0
        # A network that is measured before its first step is closed; Lightning does not know yet
        # how many batches there will be.
        if trainer.global_step:
            value = min(1.0, trainer.global_step / (self.epochs * steps_per_epoch(trainer)))
        if value != self._value:
            set_openness_(self.network, value)
            self._value = value
