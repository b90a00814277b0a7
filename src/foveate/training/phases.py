"""Two-phase training: the inserted attention learns first, then everything."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from torch import nn

from foveate.surgery import is_inserted_path


class GatesFirst(Callback):  # type: ignore[misc]
    """Freezes the base network for the first epochs; then lets a new optimizer train all of it.

    The base is frozen whole: its weights have no gradient and its batch norms keep the statistics
    that they came with. What holds is a function of the epoch, so a resumed run goes on as it was.

    Args:
        network: The network with attention inserted.
        epochs: How many epochs the base stays frozen.
        fresh: Names of base parameters that have no trained values yet, such as those of a new
            classifier; they learn from the start.
    """

    def __init__(self, network: nn.Module, epochs: int, fresh: Collection[str] = ()) -> None:
        self.epochs = epochs
        # What does not learn at all, such as the unused weights of some attentions, never will.
        self._base = [
            parameter
            for name, parameter in network.named_parameters()
            if parameter.requires_grad and not is_inserted_path(name) and name not in fresh
        ]
        self._norms = [
            module
            for name, module in network.named_modules()
            if isinstance(module, nn.modules.batchnorm._NormBase) and not is_inserted_path(name)
        ]
        self._frozen = False

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Freeze or free the base as the epoch asks."""
        frozen = trainer.current_epoch < self.epochs
        if frozen != self._frozen:
            self._freeze(frozen)
        if trainer.current_epoch == self.epochs and batch_idx == 0:
            # Momentum of the first phase would push gates in directions that the base knew frozen.
            trainer.optimizers[0].state.clear()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the network free."""
        self._freeze(False)

    def _freeze(self, frozen: bool) -> None:
        for parameter in self._base:
            parameter.requires_grad_(not frozen)
            parameter.grad = None
        for module in self._norms:
            module.train(not frozen)
        self._frozen = frozen
