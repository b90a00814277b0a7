"""How an attention that starts as the identity is opened by a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from torch import nn

from foveate.surgery import set_openness_
from foveate.training.schedule import step_of, steps_per_epoch


class Opening(Callback):  # type: ignore[misc]
    """Raises the openness from 0 to 1 in a straight line over the first epochs.

    The value is a function of the step, so a resumed run goes on where it was.

    Args:
        networks: The network with attention inserted by ``start="identity"``, and what is averaged
            from it: an average of the line would lag behind it.
        epochs: After how many epochs the attention is fully open.
    """

    def __init__(self, networks: Sequence[nn.Module], epochs: float) -> None:
        self.networks, self.epochs = networks, epochs
        self._value: float | None = None
        for network in networks:
            for name, parameter in network.named_parameters():
                if name.endswith("openness"):
                    # The schedule alone moves it: the optimizer would push it off the line.
                    parameter.requires_grad_(False)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the openness of this step."""
        self._open(step_of(trainer, batch_idx) / steps_per_epoch(trainer))

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the openness that the epochs so far have earned: fully open at the end of the line.

        A network that is measured before its first step is closed.
        """
        self._open(0.0 if trainer.sanity_checking else trainer.current_epoch + 1.0)

    def _open(self, epochs: float) -> None:
        value = min(1.0, epochs / self.epochs)
        if value != self._value:
            for network in self.networks:
                set_openness_(network, value)
            self._value = value
